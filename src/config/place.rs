//! Where a setting stands: its path from the root, and the line of each key in a file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Where a value comes from. A later one goes before an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The configuration file, and the line in it.
    File(PathBuf, usize),
    /// Managed preferences, which an MDM delivered.
    Managed(PathBuf),
    /// A variable of the environment.
    Environment(String),
    /// `--set` on the command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Managed(path) => write!(f, "managed preferences {}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag => f.write_str("--set"),
        }
    }
}

/// The lines of a TOML text on which its keys stand, by path: `detection.learn_days`, `delivery.sink[0].name`.
#[derive(Debug, Default)]
pub(super) struct Lines(BTreeMap<String, usize>);

impl Lines {
    /// Of a text that is TOML; of any other there are none.
    pub(super) fn of(text: &str) -> Self {
        let mut lines = Self::default();
        if let Ok(table) = DeTable::parse(text) {
            let ends: Vec<usize> =
                text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
            lines.table("", table.get_ref(), &|at| ends.partition_point(|end| *end < at) + 1);
        }
        lines
    }

    /// The line of a key, counted from 1; that of what it stands in where it has none of its own.
    pub(super) fn line(&self, path: &str) -> usize {
        let mut path = path;
        loop {
            if let Some(line) = self.0.get(path) {
                return *line;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = path.get(..end).unwrap_or_default(),
                None => return 1,
            }
        }
    }

    fn table(&mut self, at: &str, table: &DeTable<'_>, line: &dyn Fn(usize) -> usize) {
        for (key, value) in table {
            let path = join(at, key.get_ref());
            self.0.insert(path.clone(), line(key.span().start));
            self.value(&path, value, line);
        }
    }

    fn value(&mut self, at: &str, value: &Spanned<DeValue<'_>>, line: &dyn Fn(usize) -> usize) {
        match value.get_ref() {
            DeValue::Table(table) => self.table(at, table, line),
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{at}[{index}]");
                    self.0.insert(path.clone(), line(item.span().start));
                    self.value(&path, item, line);
                }
            }
            _ => {}
        }
    }
}

/// The path of a key in a table.
pub(super) fn join(table: &str, key: &str) -> String {
    if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_line_wherever_it_stands() {
        let lines = Lines::of("[a]\nb = 1\nc = { d = 2 }\n[[e.f]]\ng = 1\n[[e.f]]\n\ng = 2\n");
        let of =
            ["a", "a.b", "a.c.d", "e.f[0].g", "e.f[1].g", "a.b.unknown", "z"].map(|path| lines.line(path));
        assert_eq!(of, [1, 2, 3, 5, 8, 2, 1]);
    }
}
