//! What must hold for an exception to cover a behaviour.

use std::fmt;

use super::behaviour::{Behaviour, Program};
use super::pattern::{Domain, Glob, Network, Window};
use crate::network::Protocol;

/// One condition. An exception's `match` is a list of them, and all must hold; within one that names several values any of them does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Something about one of the three programs.
    Program(Whose, Trait),
    /// The script's path or module.
    Script(Glob),
    /// SHA-256 of the script, lower-case hex.
    ScriptHash(String),
    /// Each pattern matches some argument.
    Arguments(Vec<Glob>),
    /// Who runs it.
    User(Vec<User>),
    /// What it speaks.
    Protocol(Vec<Protocol>),
    /// A name of the far end.
    Domain(Vec<Domain>),
    /// The address of the far end.
    Network(Vec<Network>),
    /// The port of the far end.
    Port(Vec<u16>),
    /// When.
    Window(Window),
}

/// Which of the three programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The image that spoke.
    Image,
    /// What made it run.
    Initiator,
    /// The app that macOS holds responsible.
    Application,
}

/// What can be asked of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trait {
    /// Its image identity, exactly.
    Identity(String),
    /// Its team.
    TeamId(String),
    /// Its signing identifier.
    SigningId(String),
    /// Where it lies.
    Path(Glob),
    /// Its very code.
    Cdhash([u8; 20]),
    /// There is none.
    Absent,
}

/// A user by number or by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum User {
    /// Effective user id.
    Id(u32),
    /// Short name.
    Name(String),
}

impl Condition {
    /// Whether a behaviour meets it. What is not known meets nothing.
    pub fn holds(&self, behaviour: &Behaviour<'_>) -> bool {
        match self {
            Self::Program(whose, wanted) => wanted.holds(whose.of(behaviour)),
            Self::Script(glob) => behaviour.script.is_some_and(|script| glob.matches(script.name)),
            Self::ScriptHash(hash) => behaviour
                .script
                .and_then(|script| script.sha256)
                .is_some_and(|seen| seen.eq_ignore_ascii_case(hash)),
            Self::Arguments(globs) => {
                globs.iter().all(|glob| behaviour.arguments.iter().any(|argument| glob.matches(argument)))
            }
            Self::User(users) => users.iter().any(|user| user.is(behaviour)),
            Self::Protocol(labels) => {
                behaviour.protocol.is_some_and(|seen| labels.iter().any(|label| label.label() == seen))
            }
            Self::Domain(domains) => {
                domains.iter().any(|domain| behaviour.names.iter().any(|name| domain.covers(name)))
            }
            Self::Network(networks) => {
                behaviour.remote.is_some_and(|remote| networks.iter().any(|network| network.contains(remote)))
            }
            Self::Port(ports) => behaviour.remote.is_some_and(|remote| ports.contains(&remote.port())),
            Self::Window(window) => window.contains(behaviour.time),
        }
    }

    /// Whether it says which program, or where to: an exception must say one of them.
    pub(super) fn binds(&self) -> bool {
        match self {
            Self::Program(_, Trait::Path(glob)) | Self::Script(glob) => !glob.is_everything(),
            Self::Program(_, wanted) => *wanted != Trait::Absent,
            Self::ScriptHash(_) | Self::Domain(_) => true,
            Self::Network(networks) => !networks.iter().any(Network::is_everything),
            Self::Arguments(_) | Self::User(_) | Self::Protocol(_) | Self::Port(_) | Self::Window(_) => false,
        }
    }

    /// Its key in a file.
    pub fn key(&self) -> String {
        match self {
            Self::Program(whose, wanted) => match wanted {
                Trait::Identity(_) | Trait::Absent => whose.key().to_owned(),
                Trait::TeamId(_) => format!("{}.team_id", whose.key()),
                Trait::SigningId(_) => format!("{}.signing_id", whose.key()),
                Trait::Path(_) => format!("{}.path", whose.key()),
                Trait::Cdhash(_) => format!("{}.cdhash", whose.key()),
            },
            Self::Script(_) => "script.path".to_owned(),
            Self::ScriptHash(_) => "script.sha256".to_owned(),
            Self::Arguments(_) => "arguments".to_owned(),
            Self::User(_) => "user".to_owned(),
            Self::Protocol(_) => "protocol".to_owned(),
            Self::Domain(_) => "destination.domain".to_owned(),
            Self::Network(_) => "destination.network".to_owned(),
            Self::Port(_) => "destination.port".to_owned(),
            Self::Window(_) => "hours".to_owned(),
        }
    }

    /// What a behaviour shows in this condition's place, for people.
    pub fn seen(&self, behaviour: &Behaviour<'_>) -> String {
        let known = |text: Option<String>| text.unwrap_or_else(|| "not known".to_owned());
        match self {
            Self::Program(whose, wanted) => match whose.of(behaviour) {
                None => "none".to_owned(),
                Some(program) => known(wanted.seen(&program)),
            },
            Self::Script(_) => known(behaviour.script.map(|script| script.name.to_owned())),
            Self::ScriptHash(_) => {
                known(behaviour.script.and_then(|script| script.sha256).map(str::to_owned))
            }
            Self::Arguments(_) => {
                behaviour.arguments.iter().map(|argument| &**argument).collect::<Vec<_>>().join(" ")
            }
            Self::User(_) => {
                known(behaviour.user.map(str::to_owned).or_else(|| behaviour.uid.map(|uid| uid.to_string())))
            }
            Self::Protocol(_) => known(behaviour.protocol.map(str::to_owned)),
            Self::Domain(_) => known((!behaviour.names.is_empty()).then(|| behaviour.names.join(", "))),
            Self::Network(_) => known(behaviour.remote.map(|remote| remote.ip().to_string())),
            Self::Port(_) => known(behaviour.remote.map(|remote| remote.port().to_string())),
            Self::Window(_) => behaviour.time.to_string(),
        }
    }
}

impl fmt::Display for Condition {
    /// What is wanted, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(_, wanted) => match wanted {
                Trait::Identity(text) | Trait::TeamId(text) | Trait::SigningId(text) => f.write_str(text),
                Trait::Path(glob) => fmt::Display::fmt(glob, f),
                Trait::Cdhash(hash) => f.write_str(&hex::encode(hash)),
                Trait::Absent => f.write_str("none"),
            },
            Self::Script(glob) => fmt::Display::fmt(glob, f),
            Self::ScriptHash(hash) => f.write_str(hash),
            Self::Arguments(globs) => list(f, globs),
            Self::User(users) => list(f, users),
            Self::Protocol(labels) => list(f, labels.iter().map(|label| label.label())),
            Self::Domain(domains) => list(f, domains),
            Self::Network(networks) => list(f, networks),
            Self::Port(ports) => list(f, ports),
            Self::Window(window) => fmt::Display::fmt(window, f),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, items: impl IntoIterator<Item = impl fmt::Display>) -> fmt::Result {
    for (number, item) in items.into_iter().enumerate() {
        if number > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

impl Whose {
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Initiator => "initiator",
            Self::Application => "application",
        }
    }

    fn of<'a>(self, behaviour: &Behaviour<'a>) -> Option<Program<'a>> {
        match self {
            Self::Image => Some(behaviour.image),
            Self::Initiator => behaviour.initiator,
            Self::Application => behaviour.application,
        }
    }
}

impl Trait {
    fn holds(&self, program: Option<Program<'_>>) -> bool {
        let Some(program) = program else { return *self == Self::Absent };
        match self {
            Self::Identity(identity) => program.identity == identity,
            Self::TeamId(team) => program.team_id == Some(team),
            Self::SigningId(id) => program.signing_id == Some(id),
            Self::Path(glob) => program.path.is_some_and(|path| glob.matches(path)),
            Self::Cdhash(hash) => program.cdhash == Some(*hash),
            Self::Absent => false,
        }
    }

    fn seen(&self, program: &Program<'_>) -> Option<String> {
        match self {
            Self::Identity(_) | Self::Absent => Some(program.identity.to_owned()),
            Self::TeamId(_) => program.team_id.map(str::to_owned),
            Self::SigningId(_) => program.signing_id.map(str::to_owned),
            Self::Path(_) => program.path.map(str::to_owned),
            Self::Cdhash(_) => program.cdhash.map(hex::encode),
        }
    }
}

impl User {
    fn is(&self, behaviour: &Behaviour<'_>) -> bool {
        match self {
            Self::Id(id) => behaviour.uid == Some(*id),
            // The superuser's name is the same on every Mac.
            Self::Name(name) => behaviour.user == Some(name) || (name == "root" && behaviour.uid == Some(0)),
        }
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}
