use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;

const GOOD: &str = r#"
[[exception]]
id = "EXC-1"
owner = "it@example.com"
reason = "nightly inventory"
created = 2026-01-01
expires = 2026-12-31
channels = ["volume"]
limits.bytes_out_per_hour = "50MB"
match.image = "apple:com.apple.curl"
match.initiator = { team_id = "ABCDE12345", signing_id = "com.example.agent" }
match.destination.domain = ["inventory.example.com"]
match.hours = "22:00-06:00"
match.zone = "Europe/Berlin"
"#;

fn read(text: &str) -> Result<Vec<Exception>, Rejected> {
    parse(Path::new("x.toml"), text, Policy::default())
}

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

#[test]
fn a_table_is_read_whole() {
    let exceptions = read(GOOD).unwrap();
    let [exception] = exceptions.as_slice() else { panic!("{exceptions:?}") };
    assert_eq!((exception.hourly_limit, exception.source.line), (Some(50_000_000), Some(2)));
    let keys: Vec<String> = exception.conditions.iter().map(Condition::key).collect();
    assert_eq!(keys, ["image", "initiator.team_id", "initiator.signing_id", "destination.domain", "hours"]);
    assert!(
        exception.in_force(time("2026-01-01T00:00:00Z")) && exception.in_force(time("2026-12-31T23:59:59Z"))
    );
    assert!(
        !exception.in_force(time("2025-12-31T23:59:59Z"))
            && !exception.in_force(time("2027-01-01T00:00:00Z"))
    );
}

#[test]
fn each_mistake_has_its_line_and_its_sentence() {
    for (from, to, says) in [
        (
            "match.image",
            "match.imgae",
            "x.toml:10: exception \"EXC-1\": there is no key `match.imgae`; did you mean `image`?",
        ),
        (
            "reason =",
            "raeson =",
            "x.toml:5: exception \"EXC-1\": there is no key `raeson`; did you mean `reason`?",
        ),
        ("owner = \"it@example.com\"", "owner = \" \"", "x.toml:4: exception \"EXC-1\": `owner` is empty"),
        (
            "expires = 2026-12-31",
            "expires = 2025-12-31",
            "x.toml:7: exception \"EXC-1\": it expires on 2025-12-31, before",
        ),
        ("expires = 2026-12-31\n", "", "x.toml:2: exception \"EXC-1\": `expires` is missing"),
        (
            "created = 2026-01-01",
            "created = 10:00:00",
            "x.toml:6: exception \"EXC-1\": `created`: 10:00:00 is no date",
        ),
        ("created = 2026-01-01", "created = 2026-02-30", "x.toml:6"),
        ("EXC-1", "EXC 1", "the id must be"),
        ("\"volume\"", "\"volum\"", "there is no channel \"volum\"; did you mean \"volume\"?"),
        ("\"volume\"", "\"volume\", \"volume\"", "stands twice"),
        ("[\"volume\"]", "[]", "`channels` is empty"),
        ("\"50MB\"", "\"50 bananas\"", "x.toml:9"),
        ("\"50MB\"", "0", "would cover nothing"),
        ("bytes_out_per_hour", "bytes_per_hour", "did you mean `bytes_out_per_hour`?"),
        ("ABCDE12345", "abcde", "is no team id"),
        ("team_id = \"ABCDE12345\", ", "", "any ad-hoc signature may claim"),
        ("team_id = \"ABCDE12345\"", "identity = \"apple:x\", team_id = \"ABCDE12345\"", "contradiction"),
        ("apple:com.apple.curl", "com.apple.curl", "is no image identity"),
        ("[\"inventory.example.com\"]", "[\"com\"]", "public suffix"),
        (
            "match.destination.domain = [\"inventory.example.com\"]",
            "match.destination.network = [\"10.0.0.1/8\"]",
            "write 10.0.0.0/8",
        ),
        (
            "match.destination.domain = [\"inventory.example.com\"]",
            "match.destination.network = [\"::/0\"]",
            "is every address",
        ),
        (
            "match.destination.domain = [\"inventory.example.com\"]",
            "match.destination = {}",
            "match.destination is empty",
        ),
        (
            "match.destination.domain = [\"inventory.example.com\"]",
            "match.destination.port = [0]",
            "from 1 to 65535",
        ),
        (
            "match.destination.domain = [\"inventory.example.com\"]",
            "match.protocol = [\"tsl\"]",
            "did you mean \"tls\"?",
        ),
        ("match.zone = \"Europe/Berlin\"\n", "", "need their zone"),
        ("match.hours = \"22:00-06:00\"\n", "", "x.toml:13: exception \"EXC-1\": match.zone without hours"),
        ("Europe/Berlin", "Europe/Atlantis", "there is no zone"),
        ("match.hours =", "match.weekdays = [\"monday\"]\nmatch.hours =", "did you mean \"mon\"?"),
        ("channels =", "learn = true\naction = \"lower\"\nchannels =", "choose one"),
        ("channels =", "learn = 1\nchannels =", "must be true or false, not a number"),
        ("channels =", "action = \"supress\"\nchannels =", "did you mean \"suppress\"?"),
        ("[[exception]]", "[exception]", "with two brackets"),
        ("[[exception]]", "[[exceptions]]", "did you mean `exception`?"),
        ("owner = \"it@example.com\"", "owner = it", "x.toml:4"),
    ] {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD, "{from}");
        let error = read(&text).unwrap_err().to_string();
        assert!(error.contains(says), "wanted {says}, got {error}");
    }
}

#[test]
fn a_match_on_nearly_everything_is_refused() {
    for matching in [
        "match = {}",
        "match.image.path = \"**\"",
        "match.image.path = \"/**/*\"",
        "match.protocol = [\"tls\"]",
        "match.user = [\"root\"]",
        "match.initiator = \"none\"",
        "match.destination.port = [443]",
    ] {
        let head = GOOD.split("match.").next().unwrap();
        let error = read(&format!("{head}{matching}\n")).unwrap_err().to_string();
        assert!(error.contains("cover nearly everything"), "{matching}: {error}");
    }
}

#[test]
fn every_wrong_exception_of_a_file_is_told() {
    let text = format!(
        "{}{}",
        GOOD.replace("owner", "onwer"),
        GOOD.replace("EXC-1", "EXC-2").replace("reason", "raison")
    );
    let error = read(&text).unwrap_err();
    assert_eq!(error.errors().len(), 2, "{error}");
}

#[test]
fn an_end_may_be_missing_where_the_policy_allows_it() {
    let text = GOOD.replace("expires = 2026-12-31\n", "");
    let exceptions = parse(Path::new("x.toml"), &text, Policy { require_expiry: false }).unwrap();
    assert!(exceptions[0].in_force(time("2200-01-01T00:00:00Z")));
    assert_eq!(exceptions[0].expiry(Day(jiff::civil::date(2200, 1, 1))), Expiry::Never);
}

#[test]
fn an_id_may_stand_once() {
    let twice = [read(GOOD).unwrap(), parse(Path::new("y.toml"), GOOD, Policy::default()).unwrap()].concat();
    let error = Exceptions::new(twice).unwrap_err().to_string();
    assert!(error.contains("x.toml:2") && error.contains("y.toml:2"), "{error}");
}

#[test]
fn managed_preferences_say_the_same_as_a_file() {
    let plist = br#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict><key>Other</key><integer>1</integer><key>Exceptions</key><array><dict>
<key>id</key><string>EXC-1</string><key>owner</key><string>it@example.com</string>
<key>reason</key><string>nightly inventory</string><key>created</key><date>2026-01-01T00:00:00Z</date>
<key>expires</key><string>2026-12-31</string><key>channels</key><array><string>volume</string></array>
<key>limits</key><dict><key>bytes_out_per_hour</key><integer>50000000</integer></dict>
<key>match</key><dict><key>image</key><string>apple:com.apple.curl</string>
<key>initiator</key><dict><key>team_id</key><string>ABCDE12345</string><key>signing_id</key><string>com.example.agent</string></dict>
<key>destination</key><dict><key>domain</key><array><string>inventory.example.com</string></array></dict>
<key>hours</key><string>22:00-06:00</string><key>zone</key><string>Europe/Berlin</string></dict>
</dict></array></dict></plist>"#;
    let [from_file] = read(GOOD).unwrap().try_into().unwrap();
    let path = Path::new("m.plist");
    let [from_plist] = parse_managed(path, plist, Policy::default()).unwrap().try_into().unwrap();
    let mut binary = Vec::new();
    plist::Value::from_reader(std::io::Cursor::new(plist)).unwrap().to_writer_binary(&mut binary).unwrap();
    let [from_binary] = parse_managed(path, &binary, Policy::default()).unwrap().try_into().unwrap();
    let json = serde_json::to_vec(&serde_json::json!({ "exception": [{
        "id": "EXC-1", "owner": "it@example.com", "reason": "nightly inventory", "created": "2026-01-01",
        "expires": "2026-12-31", "channels": ["volume"], "limits": { "bytes_out_per_hour": "50MB" },
        "match": { "image": "apple:com.apple.curl", "hours": "22:00-06:00", "zone": "Europe/Berlin",
            "initiator": { "team_id": "ABCDE12345", "signing_id": "com.example.agent" },
            "destination": { "domain": "inventory.example.com" } } }] }))
    .unwrap();
    let [from_json] = parse_managed(path, &json, Policy::default()).unwrap().try_into().unwrap();
    for managed in [from_plist, from_binary, from_json] {
        assert_eq!(Exception { source: from_file.source.clone(), ..managed }, from_file);
    }
    for wrong in [&b"{"[..], b"{\"Exceptions\": [{}]}", b"[]", b"bplist00", b""] {
        assert!(parse_managed(path, wrong, Policy::default()).is_err(), "{wrong:?}");
    }
}

#[test]
fn an_end_is_loud_before_at_and_after() {
    let exceptions = Exceptions::new(read(GOOD).unwrap()).unwrap();
    let day = |month, day| Day(jiff::civil::date(2026, month, day));
    let next_year = Day(jiff::civil::date(2027, 1, 2));
    for (today, expected) in [
        (day(11, 30), Expiry::Later(31)),
        (day(12, 1), Expiry::Soon(30)),
        (day(12, 30), Expiry::Soon(1)),
        (day(12, 31), Expiry::Today),
        (next_year, Expiry::Over(2)),
    ] {
        let exception = exceptions.iter().next().unwrap();
        assert_eq!(exception.expiry(today), expected);
        assert_eq!(exceptions.due(today).len(), usize::from(expected.is_due()));
    }
    let due = exceptions.due(next_year);
    assert_eq!((due.len(), due[0].days_left, due[0].is_over()), (1, -2, true));
    assert_eq!(
        due[0].to_string(),
        "exception EXC-1 (it@example.com) expired 2 days ago: what it covered alerts again"
    );
}

#[test]
fn the_starter_pack_is_sound_and_each_entry_names_its_source() {
    let pack = starter_pack().unwrap();
    assert!(pack.len() >= 20, "{}", pack.len());
    for exception in &pack {
        assert!(exception.id.starts_with("starter."), "{}", exception.id);
        assert!(exception.reason.contains("Source: "), "{}", exception.id);
        assert!(!exception.learn, "{}", exception.id);
    }
    Exceptions::new(pack).unwrap();
}

/// A behaviour in owned parts, of a small world in which chance meets.
#[derive(Debug, Clone)]
struct Fact {
    minute: i64,
    image: &'static str,
    initiator: Option<&'static str>,
    path: &'static str,
    uid: u32,
    protocol: &'static str,
    name: Option<&'static str>,
    remote: [u8; 4],
    port: u16,
    channels: Vec<Channel>,
    sent: u64,
}

/// An exception in the same world.
#[derive(Debug, Clone)]
struct Wish {
    image: Option<&'static str>,
    initiator: Option<&'static str>,
    path: Option<&'static str>,
    uid: Option<u32>,
    protocols: Vec<&'static str>,
    domain: Option<&'static str>,
    network: Option<([u8; 4], u8)>,
    port: Option<u16>,
    hours: Option<(u8, u8)>,
    days: (i8, i8),
    channels: Vec<Channel>,
    lower: bool,
    learn: bool,
    limit: Option<u64>,
}

const IMAGES: [&str; 3] = ["apple:curl", "apple:nc", "path:/opt/x"];
const INITIATORS: [&str; 2] = ["apple:osascript", "none"];
const PATHS: [&str; 4] = ["/usr/bin/curl", "/opt/x", "/opt/a/x", "/Applications/A.app/x"];
const GLOBS: [&str; 5] = ["/opt/*", "/opt/**", "/usr/bin/curl", "/*/?", "/Applications/*.app/*"];
const NAMES: [&str; 4] = ["example.com", "a.example.com", "badexample.com", "EXAMPLE.COM"];
const LABELS: [&str; 3] = ["tls", "ssh", "http"];
const FOUR: [Channel; 4] = [Channel::Volume, Channel::Destination, Channel::Protocol, Channel::Initiator];
/// Wednesday, 10 June 2026, 00:00 UTC.
const START: i64 = 1_781_049_600;

fn fact() -> impl Strategy<Value = Fact> {
    let who = (select(&IMAGES[..]), prop::option::of(Just(INITIATORS[0])), select(&PATHS[..]), 0..3_u32);
    let what =
        (select(&LABELS[..]), prop::option::of(select(&NAMES[..])), any::<(bool, bool)>(), 442..445_u16);
    let rest = (0..4 * 1_440_i64, subsequence(FOUR.to_vec(), 1..=2), 0..200_u64);
    (who, what, rest).prop_map(
        |((image, initiator, path, uid), (protocol, name, (a, b), port), (minute, channels, sent))| Fact {
            minute,
            image,
            initiator,
            path,
            uid,
            protocol,
            name,
            port,
            channels,
            sent,
            remote: [if a { 10 } else { 11 }, 0, 0, if b { 127 } else { 128 }],
        },
    )
}

fn wish() -> impl Strategy<Value = Wish> {
    use prop::option::weighted as some;
    let who = (
        some(0.6, select(&IMAGES[..])),
        some(0.2, select(&INITIATORS[..])),
        some(0.2, select(&GLOBS[..])),
        some(0.2, 0..3_u32),
    );
    let networks = [([10, 0, 0, 0], 8), ([10, 0, 0, 0], 25), ([10, 0, 0, 128], 25), ([0, 0, 0, 0], 1)];
    let what = (
        subsequence(LABELS.to_vec(), 0..=2),
        some(0.3, select(&NAMES[..2])),
        some(0.3, select(networks.to_vec())),
        some(0.2, 442..445_u16),
        some(0.3, (0..24_u8, 0..24_u8).prop_filter("a day", |(a, b)| a != b)),
    );
    let rest = (
        (-2..3_i8, -1..5_i8),
        subsequence(FOUR.to_vec(), 1..=4),
        any::<(bool, bool)>(),
        some(0.3, 1..200_u64),
    );
    (who, what, rest)
        .prop_map(
            |(
                (image, initiator, path, uid),
                (protocols, domain, network, port, hours),
                (days, channels, (lower, learn), limit),
            )| Wish {
                image,
                initiator,
                path,
                uid,
                protocols,
                domain,
                network,
                port,
                hours,
                channels,
                lower,
                limit,
                days: (days.0, days.0.max(days.1)),
                learn: learn && !lower,
            },
        )
        .prop_filter("binds", |w| {
            w.image.is_some()
                || w.path.is_some()
                || w.domain.is_some()
                || w.network.is_some()
                || w.initiator == Some(INITIATORS[0])
        })
}

impl Wish {
    fn toml(&self, number: usize) -> String {
        let day = |offset: i8| jiff::civil::date(2026, 6, 10).saturating_add(jiff::Span::new().days(offset));
        let mut text = format!(
            "[[exception]]\nid = \"E{number}\"\nowner = \"o\"\nreason = \"r\"\ncreated = {}\nexpires = {}\n",
            day(self.days.0),
            day(self.days.1)
        );
        let channels: Vec<&str> = self.channels.iter().map(|channel| channel.label()).collect();
        writeln!(
            text,
            "channels = {channels:?}\nlearn = {}\naction = {:?}",
            self.learn,
            if self.lower { "lower" } else { "suppress" }
        )
        .unwrap();
        if let Some(limit) = self.limit {
            writeln!(text, "limits.bytes_out_per_hour = {limit}").unwrap();
        }
        match (self.image, self.path) {
            (Some(image), Some(path)) => {
                writeln!(text, "match.image = {{ identity = {image:?}, path = {path:?} }}").unwrap();
            }
            (Some(image), None) => writeln!(text, "match.image = {image:?}").unwrap(),
            (None, Some(path)) => writeln!(text, "match.image.path = {path:?}").unwrap(),
            (None, None) => {}
        }
        if let Some(initiator) = self.initiator {
            writeln!(text, "match.initiator = {initiator:?}").unwrap();
        }
        if let Some(uid) = self.uid {
            writeln!(text, "match.user = {uid}").unwrap();
        }
        if !self.protocols.is_empty() {
            writeln!(text, "match.protocol = {:?}", self.protocols).unwrap();
        }
        if let Some(domain) = self.domain {
            writeln!(text, "match.destination.domain = {domain:?}").unwrap();
        }
        if let Some((ip, prefix)) = self.network {
            writeln!(text, "match.destination.network = \"{}/{prefix}\"", std::net::Ipv4Addr::from(ip))
                .unwrap();
        }
        if let Some(port) = self.port {
            writeln!(text, "match.destination.port = {port}").unwrap();
        }
        if let Some((from, to)) = self.hours {
            writeln!(text, "match.hours = \"{from:02}:00-{to:02}:00\"\nmatch.zone = \"+01:00\"").unwrap();
        }
        text
    }

    /// The reference: slow, obvious, and without a line in common with what it judges.
    fn covers(&self, fact: &Fact) -> bool {
        let day = i8::try_from(fact.minute / 1_440).unwrap();
        let hour = u8::try_from((fact.minute / 60 + 1) % 24).unwrap();
        let ip = u32::from_be_bytes(fact.remote);
        self.days.0 <= day
            && day <= self.days.1
            && fact.channels.iter().all(|channel| self.channels.contains(channel))
            && self.image.is_none_or(|image| image == fact.image)
            && self.initiator.is_none_or(|initiator| initiator == fact.initiator.unwrap_or("none"))
            && self.path.is_none_or(|glob| slow_glob(glob.as_bytes(), fact.path.as_bytes()))
            && self.uid.is_none_or(|uid| uid == fact.uid)
            && (self.protocols.is_empty() || self.protocols.contains(&fact.protocol))
            && self.domain.is_none_or(|domain| {
                fact.name.is_some_and(|name| {
                    let name = name.to_lowercase();
                    name == domain || name.ends_with(&format!(".{domain}"))
                })
            })
            && self.network.is_none_or(|(net, prefix)| {
                (0..u32::from(prefix)).all(|bit| (u32::from_be_bytes(net) ^ ip) & (1 << (31 - bit)) == 0)
            })
            && self.port.is_none_or(|port| port == fact.port)
            && self.hours.is_none_or(|(from, to)| {
                let mut at = from;
                while at != to {
                    if at == hour {
                        return true;
                    }
                    at = (at + 1) % 24;
                }
                false
            })
            && self.limit.is_none_or(|limit| fact.sent <= limit)
    }
}

/// `**` takes anything, `*` and `?` anything but a slash.
fn slow_glob(glob: &[u8], text: &[u8]) -> bool {
    match (glob, text) {
        ([], []) => true,
        ([b'*', b'*', rest @ ..], _) => (0..=text.len()).any(|n| slow_glob(rest, &text[n..])),
        ([b'*', rest @ ..], _) => {
            (0..=text.len()).take_while(|n| !text[..*n].contains(&b'/')).any(|n| slow_glob(rest, &text[n..]))
        }
        ([b'?', rest @ ..], [byte, more @ ..]) => *byte != b'/' && slow_glob(rest, more),
        ([a, rest @ ..], [b, more @ ..]) => a == b && slow_glob(rest, more),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]
    #[test]
    fn what_covers_is_what_the_reference_says_in_any_order(
        wishes in prop::collection::vec(wish(), 1..12),
        facts in prop::collection::vec(fact(), 1..12),
        turn in 0..12_usize,
    ) {
        let mut texts: Vec<String> = wishes.iter().enumerate().map(|(number, wish)| wish.toml(number)).collect();
        let shift = turn % texts.len();
        texts.rotate_left(shift);
        let exceptions = Exceptions::new(read(&texts.concat()).unwrap()).unwrap();
        for fact in &facts {
            let arguments: [Arc<str>; 0] = [];
            let behaviour = Behaviour {
                time: Timestamp::from_seconds(START + fact.minute * 60, 0),
                image: Program { path: Some(fact.path), ..Program::named(fact.image) },
                initiator: fact.initiator.map(Program::named),
                application: None,
                script: None,
                arguments: &arguments,
                uid: Some(fact.uid),
                user: None,
                protocol: Some(fact.protocol),
                names: fact.name.into_iter().collect(),
                remote: Some((fact.remote, fact.port).into()),
            };
            let mut ledger = Ledger::default();
            exceptions.count(&behaviour, fact.sent, &mut ledger);
            let expected = wishes.iter().enumerate()
                .filter(|(_, wish)| wish.covers(fact))
                .map(|(number, wish)| (wish.lower, !wish.learn, format!("E{number}")))
                .min();
            let found = exceptions.covering(&behaviour, &fact.channels, &ledger);
            prop_assert_eq!(found.map(|e| e.id.clone()), expected.map(|(_, _, id)| id));
        }
    }

    #[test]
    fn no_text_makes_the_reader_fall(text in ".{0,200}", at in 0..GOOD.len()) {
        let _ = read(&text);
        let _ = parse_managed(Path::new("m"), text.as_bytes(), Policy::default());
        let mut broken = GOOD.to_owned();
        if broken.is_char_boundary(at) {
            broken.insert_str(at, &text);
            let _ = read(&broken);
        }
    }
}

#[test]
fn a_limit_counts_the_hour_and_a_new_hour_begins_anew() {
    let text = GOOD
        .replace("match.hours = \"22:00-06:00\"\nmatch.zone = \"Europe/Berlin\"\n", "")
        .replace("match.initiator = {", "#")
        .replace("50MB", "100");
    let exceptions = Exceptions::new(read(&text).unwrap()).unwrap();
    let mut ledger = Ledger::default();
    let arguments: [Arc<str>; 0] = [];
    let mut sends = |at: &str, bytes| {
        let behaviour = Behaviour {
            time: time(at),
            image: Program::named("apple:com.apple.curl"),
            initiator: None,
            application: None,
            script: None,
            arguments: &arguments,
            uid: None,
            user: None,
            protocol: None,
            names: vec!["inventory.example.com"],
            remote: None,
        };
        exceptions.count(&behaviour, bytes, &mut ledger);
        exceptions.covering(&behaviour, &[Channel::Volume], &ledger).is_some()
    };
    assert!(sends("2026-06-10T10:00:00Z", 60));
    assert!(sends("2026-06-10T10:59:59Z", 40));
    assert!(!sends("2026-06-10T10:59:59Z", 1));
    assert!(sends("2026-06-10T11:00:00Z", 100));
    // What comes late counts in the latest hour: a limit never comes back.
    assert!(!sends("2026-06-10T10:59:59Z", 1));
    assert!(!sends("2026-06-10T11:00:01Z", 0));
}
