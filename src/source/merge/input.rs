//! One input of a merge.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::window::Window;
use crate::observation::Origin;
use crate::source::open::is_standard_input;
use crate::source::{OpenError, OpenOptions, Sequence, Source, open};

/// Which road the inputs belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Origins {
    /// All were recorded on one Mac: equal addresses are the same flow.
    #[default]
    Joined,
    /// Each stands for itself: equal addresses in two inputs have nothing to do with each other.
    PerInput,
}

/// One input of a merge.
pub struct Input {
    location: Location,
    origin: Origin,
    options: OpenOptions,
}

enum Location {
    Path(PathBuf),
    /// Opened already; taken when it is its turn.
    Source(Option<Box<dyn Source + Send>>),
}

impl Input {
    /// The input at `path`; `-` is standard input.
    pub fn at(path: impl Into<PathBuf>, options: OpenOptions) -> Self {
        Self { location: Location::Path(path.into()), origin: options.origin, options }
    }

    /// A source that is open already, whose packets and flows belong to `origin`.
    pub fn from_source(source: Box<dyn Source + Send>, origin: Origin) -> Self {
        Self { location: Location::Source(Some(source)), origin, options: OpenOptions::default() }
    }

    /// The inputs at these paths, all opened in the same way but for their origin.
    pub fn all(
        paths: impl IntoIterator<Item = impl Into<PathBuf>>,
        origins: Origins,
        options: &OpenOptions,
    ) -> Vec<Self> {
        let mut inputs = Vec::new();
        for (path, number) in paths.into_iter().zip(0..) {
            let origin = match origins {
                Origins::Joined => options.origin,
                Origins::PerInput => Origin(number),
            };
            inputs.push(Self::at(path, OpenOptions { origin, ..options.clone() }));
        }
        inputs
    }

    /// The name in reports.
    pub(super) fn name(&self) -> Arc<str> {
        match &self.location {
            Location::Path(path) => path.to_string_lossy().into(),
            Location::Source(Some(source)) => Arc::clone(&source.report().name),
            Location::Source(None) => Arc::default(),
        }
    }

    pub(super) fn origin(&self) -> Origin {
        self.origin
    }

    /// Whether the input reads the same when it is opened again.
    pub(super) fn can_reopen(&self) -> bool {
        match &self.location {
            Location::Path(path) => !is_standard_input(path) && Path::is_file(path),
            Location::Source(_) => false,
        }
    }

    /// Opens the input to see when it begins. Where it cannot be opened again, this is the one time.
    pub(super) fn look(&mut self) -> Result<Window, OpenError> {
        if !self.can_reopen() {
            return self.open(Sequence::default());
        }
        // A look is no progress.
        let progress = self.options.progress.take();
        let window = self.open(Sequence::default());
        self.options.progress = progress;
        window
    }

    /// Opens the input, which goes on in `sequence`.
    pub(super) fn open(&mut self, sequence: Sequence) -> Result<Window, OpenError> {
        let mut source = match &mut self.location {
            Location::Path(path) => open(path, &self.options)?,
            Location::Source(source) => match source.take() {
                Some(source) => source,
                None => return Err(OpenError::Missing { path: PathBuf::new() }),
            },
        };
        source.expect(sequence);
        Ok(Window::new(source))
    }
}
