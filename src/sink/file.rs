//! Alerts appended to a file, one JSON document a line.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt;

/// Appends lines to a file, or to standard output.
///
/// Each line is one write, so that a reader never sees half of one, and it is on the disk before [`FileSink::deliver`] returns. A file
/// that was renamed or removed meanwhile (newsyslog, logrotate) is opened anew.
#[derive(Debug)]
pub struct FileSink {
    path: Option<PathBuf>,
    file: Option<File>,
}

/// A line could not be delivered.
#[derive(Debug, Error)]
#[error("cannot write alerts to {target}: {source}")]
pub struct SinkError {
    /// The file, or standard output.
    pub target: String,
    /// Why.
    pub source: io::Error,
}

impl FileSink {
    /// To a file, which is made if it is not there.
    ///
    /// # Errors
    /// Where it cannot be opened for writing.
    pub async fn open(path: &Path) -> Result<Self, SinkError> {
        let mut sink = Self { path: Some(path.to_owned()), file: None };
        sink.file = Some(append(path).await.map_err(|source| sink.error(source))?);
        Ok(sink)
    }

    /// To standard output.
    pub fn stdout() -> Self {
        Self { path: None, file: None }
    }

    /// Delivers one line; `line` has no line end.
    ///
    /// # Errors
    /// Where the line is not written whole.
    pub async fn deliver(&mut self, line: &str) -> Result<(), SinkError> {
        let mut bytes = Vec::with_capacity(line.len().saturating_add(1));
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        self.write(&bytes).await.map_err(|source| self.error(source))
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(path) = self.path.as_deref() else {
            let mut stdout = tokio::io::stdout();
            stdout.write_all(bytes).await?;
            return stdout.flush().await;
        };
        let file = match self.file.take() {
            Some(file) if is_still(&file, path).await => file,
            _ => append(path).await?,
        };
        let file = self.file.insert(file);
        file.write_all(bytes).await?;
        file.flush().await?;
        file.sync_data().await
    }

    fn error(&self, source: io::Error) -> SinkError {
        let target = self
            .path
            .as_ref()
            .map_or_else(|| "standard output".to_owned(), |path| path.display().to_string());
        SinkError { target, source }
    }
}

async fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path).await
}

/// Whether the path still names this open file.
async fn is_still(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(open), Ok(named)) = (file.metadata().await, tokio::fs::metadata(path).await) else {
        return false;
    };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_was_moved_is_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.ndjson");
        let mut sink = FileSink::open(&path).await.unwrap();
        sink.deliver("{\"a\":1}").await.unwrap();
        std::fs::rename(&path, folder.path().join("alerts.ndjson.0")).unwrap();
        sink.deliver("{\"a\":2}").await.unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("alerts.ndjson.0")).unwrap(), "{\"a\":1}\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"a\":2}\n");
    }

    #[tokio::test]
    async fn a_folder_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = FileSink::open(folder.path()).await.unwrap_err();
        assert!(error.to_string().contains("cannot write alerts to"));
    }
}
