//! The small values that conditions are made of: globs, domains, networks, hours. Each is checked where it is made; one that exists can
//! match.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use globset::{GlobBuilder, GlobMatcher};
use ipnet::IpNet;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use crate::observation::Timestamp;

/// A pattern of a path or an argument: `*` and `?` within a component, `**` across them, `[a-z]`, `{one,other}`. It is compiled to an
/// automaton, so that matching takes time linear in the text whatever the pattern.
#[derive(Debug, Clone)]
pub struct Glob {
    text: String,
    matcher: GlobMatcher,
}

impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Glob {}

/// Longest pattern, in bytes: `PATH_MAX` of macOS.
const MOST_GLOB: usize = 1_024;

impl Glob {
    /// A pattern of a path: `*` and `?` stop at a slash.
    pub(super) fn path(text: &str) -> Result<Self, String> {
        Self::new(text, true)
    }

    /// A pattern of an argument: `*` and `?` pass slashes, which mean nothing there.
    pub(super) fn argument(text: &str) -> Result<Self, String> {
        Self::new(text, false)
    }

    fn new(text: &str, literal_separator: bool) -> Result<Self, String> {
        if text.is_empty() {
            return Err("the pattern is empty".to_owned());
        }
        if text.len() > MOST_GLOB {
            return Err(format!("the pattern is longer than {MOST_GLOB} bytes"));
        }
        let glob = GlobBuilder::new(text)
            .literal_separator(literal_separator)
            .backslash_escape(true)
            .build()
            .map_err(|error| format!("{text:?} is no pattern: {}", error.kind()))?;
        Ok(Self { text: text.to_owned(), matcher: glob.compile_matcher() })
    }

    /// Whether it matches the whole text.
    pub fn matches(&self, text: &str) -> bool {
        self.matcher.is_match(text)
    }

    /// Whether it excludes nothing: nothing but stars and slashes.
    pub(super) fn is_everything(&self) -> bool {
        self.text.bytes().all(|byte| byte == b'*' || byte == b'/')
    }

    /// The pattern that matches this text and no other.
    pub(super) fn escape(text: &str) -> String {
        // The crate's own escape leaves backslashes alone, which escape here.
        let parts: Vec<String> = text.split('\\').map(globset::escape).collect();
        parts.join(r"\\")
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A domain: it covers itself and what lies below it, without regard to case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain(String);

impl Domain {
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.starts_with('.') || name.starts_with("*.") {
            let bare = name.trim_start_matches(['*', '.']);
            return Err(format!("a domain covers what is below it as well; write {bare:?}"));
        }
        let label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if name.len() > 253 || !name.split('.').all(label) {
            return Err(format!("{text:?} is no domain; write an international name as xn--…"));
        }
        if name.parse::<IpAddr>().is_ok() {
            return Err(format!("{text:?} is an address; write destination.network = [\"{text}\"]"));
        }
        if psl::suffix_str(name) == Some(name) {
            return Err(format!("{text:?} is a public suffix, under which anyone can have a name"));
        }
        Ok(Self(name.to_ascii_lowercase()))
    }

    /// Whether a host name is this domain or lies below it.
    pub fn covers(&self, name: &str) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name);
        let Some(split) = name.len().checked_sub(self.0.len()) else { return false };
        name.get(split..).is_some_and(|end| end.eq_ignore_ascii_case(&self.0))
            && (split == 0 || name.get(..split).is_some_and(|front| front.ends_with('.')))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A network, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let net: IpNet = match text.parse() {
            Ok(net) => net,
            Err(_) => match text.parse::<IpAddr>() {
                Ok(address) => IpNet::from(address),
                Err(_) => return Err(format!("{text:?} is no network; write 192.0.2.0/24 or 2001:db8::/32")),
            },
        };
        if net.trunc() != net {
            return Err(format!("{text:?} has bits set beyond its prefix; write {}", net.trunc()));
        }
        if let IpNet::V6(v6) = net
            && v6.prefix_len() >= 96
            && v6.addr().to_ipv4_mapped().is_some()
        {
            return Err(format!("{text:?} is an IPv4 network in IPv6 form; write it as IPv4"));
        }
        Ok(Self(net))
    }

    /// Whether an address lies in it. An IPv4 address in IPv6 form is an IPv4 address.
    pub fn contains(&self, address: SocketAddr) -> bool {
        self.0.contains(&address.ip().to_canonical())
    }

    pub(super) fn is_everything(&self) -> bool {
        self.0.prefix_len() == 0
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Hours and days of the week in a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// From this minute of the day to before that one; past midnight where the second is less.
    pub(super) hours: Option<(u16, u16)>,
    /// Days on which it begins; empty for all.
    pub(super) weekdays: Vec<Weekday>,
    /// Whose hours and days.
    pub(super) zone: TimeZone,
    /// The zone as it was written.
    pub(super) zone_name: String,
}

impl Window {
    /// Whether a moment lies in it.
    pub fn contains(&self, time: Timestamp) -> bool {
        let Ok(point) = jiff::Timestamp::from_nanosecond(i128::from(time.as_nanos())) else { return false };
        let local = self.zone.to_datetime(point);
        // Both are in range by the calendar: an hour is below 24, a minute below 60.
        let minute = u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        let (inside, began_yesterday) = match self.hours {
            None => (true, false),
            Some((from, to)) if from < to => ((from..to).contains(&minute), false),
            Some((from, to)) => (minute >= from || minute < to, minute < to),
        };
        let day = if began_yesterday { local.weekday().previous() } else { local.weekday() };
        inside && (self.weekdays.is_empty() || self.weekdays.contains(&day))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((from, to)) = self.hours {
            write!(f, "{:02}:{:02}-{:02}:{:02} ", from / 60, from % 60, to / 60, to % 60)?;
        }
        for day in &self.weekdays {
            let name = WEEKDAYS.iter().find(|(_, known)| known == day).map_or("", |(name, _)| name);
            write!(f, "{name} ")?;
        }
        f.write_str(&self.zone_name)
    }
}

/// `HH:MM-HH:MM`, with 24:00 as an end.
pub(super) fn hours(text: &str) -> Result<(u16, u16), String> {
    let wrong = || format!("{text:?} are no hours; write hours = \"22:00-06:00\"");
    let minute = |text: &str| {
        let (hour, minute) = text.trim().split_once(':')?;
        let digits = |t: &str| (t.len() == 2).then(|| t.parse::<u16>().ok()).flatten();
        let (hour, minute) = (digits(hour)?, digits(minute)?);
        (minute < 60 && hour * 60 + minute <= DAY).then_some(hour * 60 + minute)
    };
    let (from, to) = text.split_once('-').ok_or_else(wrong)?;
    let (from, to) = (minute(from).ok_or_else(wrong)?, minute(to).ok_or_else(wrong)?);
    if from == DAY {
        return Err(wrong());
    }
    if from == to || (from == 0 && to == DAY) {
        return Err("these hours are a whole day; leave hours out".to_owned());
    }
    Ok((from, to))
}

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// The days as they are written, English and short as in crontab(5).
pub(super) const WEEKDAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// An IANA name (`Europe/Berlin`, `UTC`) or an offset (`+02:00`).
pub(super) fn zone(text: &str) -> Result<TimeZone, String> {
    let wrong = || format!("there is no zone {text:?}; write Europe/Berlin, UTC or +02:00");
    let (sign, rest) = match text.as_bytes().first() {
        Some(b'+') => (1, text.get(1..)),
        Some(b'-') => (-1, text.get(1..)),
        _ => return TimeZone::get(text).map_err(|_| wrong()),
    };
    let (hours, minutes) = rest.and_then(|rest| rest.split_once(':')).ok_or_else(wrong)?;
    let number = |t: &str| if t.len() == 2 { t.parse::<u8>().map_err(|_| wrong()) } else { Err(wrong()) };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    // Real offsets end at 14 hours (Line Islands).
    if hours > 14 || minutes > 59 {
        return Err(wrong());
    }
    let seconds = sign * (i32::from(hours) * 3_600 + i32::from(minutes) * 60);
    jiff::tz::Offset::from_seconds(seconds).map(TimeZone::fixed).map_err(|_| wrong())
}

/// Bytes as a number with a unit: `50MB` is 50 · 10^6, `50MiB` 50 · 2^20.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(split)?;
    let unit = match unit.trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_covers_itself_and_what_is_below_it() {
        for (name, domain, expected) in [
            ("example.com", "example.com", true),
            ("a.Example.com", "example.com", true),
            ("example.com.", "example.com", true),
            ("badexample.com", "example.com", false),
            ("example.com", "a.example.com", false),
            ("example.com.evil.net", "example.com", false),
            ("é.com", "aaa.com", false),
        ] {
            assert_eq!(Domain::new(domain).unwrap().covers(name), expected, "{name} in {domain}");
        }
        for (text, says) in [
            (".example.com", "write \"example.com\""),
            ("*.example.com", "write \"example.com\""),
            ("com", "public suffix"),
            ("co.uk", "public suffix"),
            ("a..b", "no domain"),
            ("192.0.2.1", "destination.network"),
            ("", "no domain"),
        ] {
            let error = Domain::new(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn a_network_ends_where_its_prefix_says() {
        let address = |text: &str| SocketAddr::new(text.parse().unwrap(), 443);
        for (network, inside, outside) in [
            ("10.0.0.0/8", ["10.0.0.0", "10.255.255.255"], ["9.255.255.255", "11.0.0.0"]),
            ("198.18.0.0/15", ["198.18.0.0", "198.19.255.255"], ["198.17.255.255", "198.20.0.0"]),
            ("192.0.2.7", ["192.0.2.7", "::ffff:192.0.2.7"], ["192.0.2.6", "192.0.2.8"]),
            ("0.0.0.0/1", ["0.0.0.0", "127.255.255.255"], ["128.0.0.0", "::"]),
            ("2001:db8::/33", ["2001:db8::", "2001:db8:7fff:ffff::"], ["2001:db8:8000::", "2001:db7::"]),
            ("::1/128", ["::1", "::1"], ["::2", "::"]),
        ] {
            let net = Network::new(network).unwrap();
            assert!(inside.iter().all(|a| net.contains(address(a))), "{network}");
            assert!(outside.iter().all(|a| !net.contains(address(a))), "{network}");
        }
        assert!(Network::new("10.1.2.3/8").unwrap_err().contains("write 10.0.0.0/8"));
        assert!(Network::new("::ffff:10.0.0.0/104").unwrap_err().contains("write it as IPv4"));
        for wrong in ["10.0.0.0/33", "10.0.0/8", "example.com", "::/129", ""] {
            assert!(Network::new(wrong).is_err(), "{wrong}");
        }
        assert!(Network::new("0.0.0.0/0").unwrap().is_everything());
    }

    #[test]
    fn a_star_stops_at_a_slash_in_a_path_and_not_in_an_argument() {
        let path = Glob::path("/Applications/*.app/**").unwrap();
        assert!(path.matches("/Applications/Foo.app/Contents/MacOS/Foo"));
        assert!(!path.matches("/Applications/evil/Foo.app/Contents/MacOS/Foo"));
        assert!(!path.matches("/tmp/Applications/Foo.app/x"));
        assert!(
            Glob::argument("https://inventory.example.com/*")
                .unwrap()
                .matches("https://inventory.example.com/a/b")
        );
        assert!(Glob::path("/a/[").is_err() && Glob::path("").is_err());
        let odd = "/tmp/[x]*{a,b}?\\";
        assert!(Glob::path(&Glob::escape(odd)).unwrap().matches(odd));
    }

    fn window(hours_text: &str, weekdays: &[Weekday], zone_name: &str) -> Window {
        Window {
            hours: (!hours_text.is_empty()).then(|| hours(hours_text).unwrap()),
            weekdays: weekdays.to_vec(),
            zone: zone(zone_name).unwrap(),
            zone_name: zone_name.to_owned(),
        }
    }

    #[test]
    fn hours_past_midnight_belong_to_the_day_on_which_they_began() {
        let window = window("22:00-06:00", &[Weekday::Friday], "Europe/Berlin");
        for (time, expected) in [
            ("2026-06-12T19:59:59Z", false), // Friday 21:59:59 in Berlin
            ("2026-06-12T20:00:00Z", true),
            ("2026-06-13T03:59:59Z", true),
            ("2026-06-13T04:00:00Z", false),
            ("2026-06-11T23:00:00Z", false), // Friday 01:00, which Thursday began
        ] {
            assert_eq!(window.contains(Timestamp::parse(time).unwrap()), expected, "{time}");
        }
    }

    #[test]
    fn a_named_zone_follows_its_summer_and_an_offset_does_not() {
        let (named, fixed) =
            (window("02:00-03:00", &[], "Europe/Berlin"), window("02:00-03:00", &[], "+01:00"));
        let (winter, summer) = ("2026-01-15T01:30:00Z", "2026-07-15T00:30:00Z");
        for (time, in_named, in_fixed) in [(winter, true, true), (summer, true, false)] {
            let time = Timestamp::parse(time).unwrap();
            assert_eq!((named.contains(time), fixed.contains(time)), (in_named, in_fixed), "{time}");
        }
        for wrong in ["Europe/Berlim", "+2:00", "+15:00", "+", "-é0:00"] {
            assert!(zone(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn hours_are_two_times_of_a_day() {
        assert_eq!(hours("18:30-24:00"), Ok((1_110, 1_440)));
        for wrong in
            ["", "8-9", "08:00", "08:00-25:00", "24:00-01:00", "08:60-09:00", "00:00-24:00", "07:00-07:00"]
        {
            assert!(hours(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bytes_have_units() {
        for (text, expected) in [
            ("1", Some(1)),
            ("50MB", Some(50_000_000)),
            ("50 MiB", Some(50 << 20)),
            ("-1", None),
            ("1.5MB", None),
            ("MB", None),
            ("99999999999999999999", None),
            ("99999999999GiB", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
