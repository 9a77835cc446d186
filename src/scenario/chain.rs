//! Chains of programs: `Terminal > zsh > curl -O 'https://example.com/a b'`, `Automator > sh => curl`.

use std::collections::BTreeMap;

use super::language::Program;

/// Programs that follow one another, from launchd's child on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) steps: Vec<Step>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// Its name.
    pub(super) program: String,
    /// What follows it on its command line.
    pub(super) arguments: Vec<String>,
    /// It takes the place of the one before in the same process (`=>`); else it runs in a process that the one before forked (`>`).
    pub(super) replaces: bool,
}

/// A word, and whether a quote made it one: what is quoted is never an arrow.
struct Word {
    text: String,
    quoted: bool,
}

impl Chain {
    /// Reads a chain.
    ///
    /// # Errors
    /// The name, or what stands for one, that no program has.
    pub(super) fn parse(text: &str, programs: &BTreeMap<String, Program>) -> Result<Self, String> {
        let mut steps = Vec::new();
        let (mut words, mut replaces) = (Vec::new(), false);
        for word in split(text) {
            let arrow = !word.quoted && matches!(word.text.as_str(), ">" | "=>");
            if arrow {
                steps.push(Step::of(&std::mem::take(&mut words), replaces, programs)?);
                replaces = word.text == "=>";
            } else {
                words.push(word.text);
            }
        }
        steps.push(Step::of(&words, replaces, programs)?);
        Ok(Self { steps })
    }
}

impl Step {
    /// A name may have several words: the longest that a program has counts.
    fn of(words: &[String], replaces: bool, programs: &BTreeMap<String, Program>) -> Result<Self, String> {
        let named = (1..=words.len()).rev().find_map(|count| {
            let (name, arguments) = words.split_at_checked(count)?;
            let name = name.join(" ");
            programs.contains_key(&name).then(|| (name, arguments.to_vec()))
        });
        let (program, arguments) = named.ok_or_else(|| words.first().cloned().unwrap_or_default())?;
        Ok(Self { program, arguments, replaces })
    }
}

/// Words at blanks, but for what stands in single quotes.
fn split(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let (mut word, mut began, mut quoted, mut open) = (String::new(), false, false, false);
    for c in text.chars() {
        if c == '\'' {
            (open, quoted, began) = (!open, true, true);
        } else if c.is_whitespace() && !open {
            if std::mem::take(&mut began) {
                words.push(Word { text: std::mem::take(&mut word), quoted: std::mem::take(&mut quoted) });
            }
        } else {
            word.push(c);
            began = true;
        }
    }
    if began {
        words.push(Word { text: word, quoted });
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(text: &str) -> Result<Chain, String> {
        let program = |name: &str| {
            let text = format!("name = \"{name}\"\npath = \"/x\"");
            (name.to_owned(), toml::from_str::<Program>(&text).unwrap())
        };
        Chain::parse(text, &["Chrome", "Chrome Helper", "sh", "curl"].map(program).into())
    }

    #[test]
    fn arrows_say_whether_a_process_is_new() {
        let steps = chain("Chrome > sh -c 'curl > x' => curl -O x").unwrap().steps;
        let told: Vec<_> =
            steps.iter().map(|s| (s.program.as_str(), s.arguments.join("|"), s.replaces)).collect();
        assert_eq!(
            told,
            [
                ("Chrome", String::new(), false),
                ("sh", "-c|curl > x".into(), false),
                ("curl", "-O|x".into(), true)
            ]
        );
    }

    #[test]
    fn the_longest_name_counts() {
        assert_eq!(chain("Chrome Helper --type=gpu").unwrap().steps[0].program, "Chrome Helper");
    }

    #[test]
    fn a_name_that_nobody_has_is_given_back() {
        assert_eq!(chain("Chrome > crul -O x"), Err("crul".into()));
        assert_eq!(chain("Chrome > "), Err(String::new()));
    }
}
