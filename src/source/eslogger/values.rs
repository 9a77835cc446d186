//! The values that an `eslogger` line writes in a way of its own: texts, files, audit tokens, arguments, environment.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::source::text::{TEXT_LIMIT, clip};

/// A text of a line: a slice of it, unless it holds escapes.
#[derive(Debug, Default)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Any)
    }
}

/// `es_file_t`, of which only the path is read; a plain text is taken for the path.
#[derive(Debug, Default, Serialize)]
pub(crate) struct File<'a> {
    pub(crate) path: Text<'a>,
    pub(crate) path_truncated: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for File<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Members<'a> {
            #[serde(borrow)]
            path: Option<Text<'a>>,
            path_truncated: Option<bool>,
        }
        struct PathOrMembers;
        impl<'de> Visitor<'de> for PathOrMembers {
            type Value = File<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a file")
            }
            fn visit_borrowed_str<E: de::Error>(self, path: &'de str) -> Result<File<'de>, E> {
                Ok(File { path: Text(Cow::Borrowed(path)), path_truncated: false })
            }
            fn visit_str<E: de::Error>(self, path: &str) -> Result<File<'de>, E> {
                Ok(File { path: Text(Cow::Owned(path.to_owned())), path_truncated: false })
            }
            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<File<'de>, A::Error> {
                let members = Members::deserialize(MapAccessDeserializer::new(members))?;
                Ok(File {
                    path: members.path.unwrap_or_default(),
                    path_truncated: members.path_truncated.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_any(PathOrMembers)
    }
}

/// `audit_token_t`: an object in most versions, an array of the eight words in version 10 of the macOS 26 beta.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Token {
    pub(crate) pid: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pidversion: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) auid: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) euid: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ruid: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) asid: Option<i64>,
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Members {
            pid: Option<i64>,
            pidversion: Option<i64>,
            auid: Option<i64>,
            euid: Option<i64>,
            ruid: Option<i64>,
            asid: Option<i64>,
        }
        struct MembersOrWords;
        impl<'de> Visitor<'de> for MembersOrWords {
            type Value = Token;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an audit token")
            }
            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Token, A::Error> {
                let Members { pid, pidversion, auid, euid, ruid, asid } =
                    Members::deserialize(MapAccessDeserializer::new(members))?;
                Ok(Token { pid, pidversion, auid, euid, ruid, asid })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut words: A) -> Result<Token, A::Error> {
                // bsm/libbsm.h, `audit_token_to_au32`: auid, euid, egid, ruid, rgid, pid, asid, pidversion.
                let mut word = |index| {
                    words
                        .next_element::<i64>()?
                        .ok_or_else(|| de::Error::invalid_length(index, &"eight words"))
                };
                let (auid, euid, _egid, ruid) = (word(0)?, word(1)?, word(2)?, word(3)?);
                let (_rgid, pid, asid, pidversion) = (word(4)?, word(5)?, word(6)?, word(7)?);
                while words.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Token {
                    pid: Some(pid),
                    pidversion: Some(pidversion),
                    auid: Some(auid),
                    euid: Some(euid),
                    ruid: Some(ruid),
                    asid: Some(asid),
                })
            }
        }
        deserializer.deserialize_any(MembersOrWords)
    }
}

/// `argv`: at most [`Arguments::LIMIT`] texts of [`TEXT_LIMIT`] bytes, and how many there were.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) kept: Vec<Arc<str>>,
    pub(crate) total: u32,
}

impl Arguments {
    /// How many are kept.
    pub(crate) const LIMIT: usize = 256;
}

impl Serialize for Arguments {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.kept.iter().map(AsRef::<str>::as_ref))
    }
}

impl<'de> Deserialize<'de> for Arguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = Arguments;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of arguments")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Arguments, E> {
                Ok(Arguments::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Arguments, A::Error> {
                let mut arguments = Arguments::default();
                while arguments.kept.len() < Arguments::LIMIT {
                    let Some(Argument(text)) = texts.next_element()? else {
                        return Ok(arguments);
                    };
                    arguments.kept.push(text);
                    arguments.total = arguments.total.saturating_add(1);
                }
                while texts.next_element::<IgnoredAny>()?.is_some() {
                    arguments.total = arguments.total.saturating_add(1);
                }
                Ok(arguments)
            }
        }
        deserializer.deserialize_any(Texts)
    }
}

/// One argument, bounded.
struct Argument(Arc<str>);

impl<'de> Deserialize<'de> for Argument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bounded;
        impl Visitor<'_> for Bounded {
            type Value = Argument;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an argument")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Argument, E> {
                Ok(Argument(clip(text, TEXT_LIMIT).into()))
            }
        }
        deserializer.deserialize_str(Bounded)
    }
}

/// `env`: of its entries only those that say what started a process, each once. Others may hold secrets and are never kept.
#[derive(Debug, Default)]
pub(crate) struct Environment(pub(crate) Vec<(Arc<str>, Arc<str>)>);

impl Environment {
    /// The entries that are kept.
    const KEYS: [&str; 4] =
        ["XPC_SERVICE_NAME", "__CFBundleIdentifier", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__"];

    /// Bytes kept of a value: labels, bundle ids and paths fit (`PATH_MAX` of macOS).
    const VALUE_LIMIT: usize = 1_024;

    /// As [`Self::keep`], for bytes that need not be UTF-8.
    pub(crate) fn keep_bytes(&mut self, entry: &[u8]) {
        let counts =
            |key: &&str| entry.strip_prefix(key.as_bytes()).is_some_and(|rest| rest.starts_with(b"="));
        if Self::KEYS.iter().any(counts) {
            self.keep(&String::from_utf8_lossy(entry));
        }
    }

    /// Keeps an entry, given as `KEY=value`, if it is one of those that count and the first of its key.
    fn keep(&mut self, entry: &str) {
        let Some((key, value)) = entry.split_once('=') else {
            return;
        };
        if Self::KEYS.contains(&key) && self.0.iter().all(|(known, _)| &**known != key) {
            self.0.push((key.into(), clip(value, Self::VALUE_LIMIT).into()));
        }
    }
}

impl Serialize for Environment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|(key, value)| format!("{key}={value}")))
    }
}

impl<'de> Deserialize<'de> for Environment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Environment;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of environment entries")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Environment, E> {
                Ok(Environment::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Environment, A::Error> {
                let mut environment = Environment::default();
                while entries.next_element_seed(Entry(&mut environment))?.is_some() {}
                Ok(environment)
            }
        }
        deserializer.deserialize_any(Entries)
    }
}

/// Reads one entry into an environment, without a copy where it is not kept.
struct Entry<'e>(&'e mut Environment);

impl<'de> DeserializeSeed<'de> for Entry<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Entry<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an environment entry")
    }
    fn visit_str<E: de::Error>(self, entry: &str) -> Result<(), E> {
        self.0.keep(entry);
        Ok(())
    }
}
