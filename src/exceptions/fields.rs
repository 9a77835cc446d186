//! Taking the members out of a table, one by one, with a sentence for each that is wrong.

use super::node::{Data, Entry, Node};

/// What is wrong, and in which line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) line: Option<usize>,
    pub(super) what: String,
}

impl Fault {
    pub(super) fn new(line: Option<usize>, what: impl Into<String>) -> Self {
        Self { line, what: what.into() }
    }
}

/// A table of which every key is known.
pub(super) struct Fields {
    entries: Vec<Entry>,
    line: Option<usize>,
    /// What messages put before a key: `match.`.
    within: &'static str,
}

impl Fields {
    /// Takes a table apart. A key that is not among `known` is a fault which names the nearest one.
    pub(super) fn of(node: Node, within: &'static str, known: &[&str]) -> Result<Self, Fault> {
        let Data::Table(entries) = node.data else {
            let place = within.strip_suffix('.').unwrap_or("this");
            return Err(Fault::new(node.line, format!("{place} must be a table, not {}", node.data.kind())));
        };
        if let Some(entry) = entries.iter().find(|entry| !known.contains(&entry.key.as_str())) {
            let hint = match nearest(&entry.key, known.iter().copied()) {
                Some(key) => format!("did you mean `{key}`?"),
                None => format!("the keys are {}", known.join(", ")),
            };
            return Err(Fault::new(entry.line, format!("there is no key `{within}{}`; {hint}", entry.key)));
        }
        Ok(Self { entries, line: node.line, within })
    }

    /// The member of this name, taken out.
    pub(super) fn take(&mut self, key: &str) -> Option<Node> {
        let at = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.swap_remove(at).value)
    }

    /// The line where the table begins.
    pub(super) fn line(&self) -> Option<usize> {
        self.line
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<(String, Option<usize>)>, Fault> {
        self.take(key).map(|node| text(&self.name(key), node)).transpose()
    }

    pub(super) fn required(&mut self, key: &str) -> Result<(String, Option<usize>), Fault> {
        let line = self.line;
        self.text(key)?.ok_or_else(|| Fault::new(line, format!("`{}` is missing", self.name(key))))
    }

    pub(super) fn flag(&mut self, key: &str) -> Result<bool, Fault> {
        let Some(node) = self.take(key) else { return Ok(false) };
        match node.data {
            Data::Bool(value) => Ok(value),
            other => Err(Fault::new(
                node.line,
                format!("`{}` must be true or false, not {}", self.name(key), other.kind()),
            )),
        }
    }

    /// A list of one kind of item, or one item alone. An empty list is a fault: it would match nothing.
    pub(super) fn list<T>(
        &mut self,
        key: &str,
        mut item: impl FnMut(&str, Node) -> Result<T, Fault>,
    ) -> Result<Option<Vec<T>>, Fault> {
        let Some(node) = self.take(key) else { return Ok(None) };
        let name = self.name(key);
        let items = match node.data {
            Data::List(items) => items,
            data => vec![Node { line: node.line, data }],
        };
        if items.is_empty() {
            return Err(Fault::new(
                node.line,
                format!("`{name}` is empty, so nothing would match; leave it out"),
            ));
        }
        items.into_iter().map(|node| item(&name, node)).collect::<Result<_, _>>().map(Some)
    }

    fn name(&self, key: &str) -> String {
        format!("{}{key}", self.within)
    }
}

/// A text.
pub(super) fn text(name: &str, node: Node) -> Result<(String, Option<usize>), Fault> {
    match node.data {
        Data::Text(text) => Ok((text, node.line)),
        other => Err(Fault::new(node.line, format!("`{name}` must be text, not {}", other.kind()))),
    }
}

/// A text that another type reads.
pub(super) fn parsed<T>(
    name: &str,
    node: Node,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, Fault> {
    let (text, line) = text(name, node)?;
    parse(&text).map_err(|what| Fault::new(line, format!("`{name}`: {what}")))
}

/// The known word that is nearest to a misspelt one, where one is near.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::normalized_damerau_levenshtein(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Share of letters that may stay (1 less the Damerau-Levenshtein distance over the longer length) from which a word is taken for a
/// misspelling: half lets `monday` be `mon`, and keeps strangers apart.
const LIKE: f64 = 0.5;
