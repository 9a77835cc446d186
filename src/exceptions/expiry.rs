//! An exception's end, said loudly before it comes.

use std::fmt;

use serde::Serialize;

use super::{Day, Exception, Exceptions};

/// How near an exception's end is, on some day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expiry {
    /// It ended so many days ago: what it covered alerts again.
    Over(u32),
    /// It ends with this day.
    Today,
    /// It ends in so many days, at most [`EXPIRES_SOON_DAYS`].
    Soon(u32),
    /// It ends later.
    Later(u32),
    /// It has no end.
    Never,
}

/// An exception whose end should be known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Due {
    /// Names it.
    pub id: String,
    /// Who answers for it.
    pub owner: String,
    /// Its last day.
    pub expires: String,
    /// Days until then; negative where it is over.
    pub days_left: i64,
    #[serde(skip)]
    expiry: Expiry,
}

impl Due {
    /// Whether it covers nothing any more.
    pub fn is_over(&self) -> bool {
        matches!(self.expiry, Expiry::Over(_))
    }
}

impl fmt::Display for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exception {} ({}) {}", self.id, self.owner, self.expiry)
    }
}

/// From how many days before its end on an exception is named in log, status and report: time for its owner to ask again.
pub const EXPIRES_SOON_DAYS: u32 = 30;

impl Expiry {
    /// Whether somebody should be told.
    pub const fn is_due(self) -> bool {
        matches!(self, Self::Over(_) | Self::Today | Self::Soon(_))
    }

    /// Days until its end, negative where that is over; none where it has none.
    pub fn days_left(self) -> Option<i64> {
        match self {
            Self::Over(days) => Some(-i64::from(days)),
            Self::Today => Some(0),
            Self::Soon(days) | Self::Later(days) => Some(i64::from(days)),
            Self::Never => None,
        }
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = |count: u32| if count == 1 { "1 day".to_owned() } else { format!("{count} days") };
        match self {
            Self::Over(count) => write!(f, "expired {} ago: what it covered alerts again", days(*count)),
            Self::Today => f.write_str("expires today: from tomorrow (UTC) what it covers alerts again"),
            Self::Soon(count) | Self::Later(count) => write!(f, "expires in {}", days(*count)),
            Self::Never => f.write_str("never expires"),
        }
    }
}

impl Exception {
    /// How near its end is.
    pub fn expiry(&self, today: Day) -> Expiry {
        let Some(expires) = self.expires else { return Expiry::Never };
        // The calendar's span is below 20,000 years, some seven million days.
        let days = today.0.until(expires.0).map_or(0, |span| span.get_days());
        match days {
            ..0 => Expiry::Over(days.unsigned_abs()),
            0 => Expiry::Today,
            _ if days.unsigned_abs() <= EXPIRES_SOON_DAYS => Expiry::Soon(days.unsigned_abs()),
            _ => Expiry::Later(days.unsigned_abs()),
        }
    }
}

impl Exceptions {
    /// What log, status, report and health event say on a day: each exception that ended or ends within [`EXPIRES_SOON_DAYS`], the most urgent
    /// first.
    pub fn due(&self, today: Day) -> Vec<Due> {
        let mut due: Vec<(Expiry, &Exception)> = self
            .iter()
            .map(|exception| (exception.expiry(today), exception))
            .filter(|(expiry, _)| expiry.is_due())
            .collect();
        due.sort_by(|(a, x), (b, y)| (a, &x.id).cmp(&(b, &y.id)));
        due.into_iter()
            .map(|(expiry, exception)| Due {
                id: exception.id.clone(),
                owner: exception.owner.clone(),
                expires: exception.expires.map(|day| day.to_string()).unwrap_or_default(),
                days_left: expiry.days_left().unwrap_or(0),
                expiry,
            })
            .collect()
    }
}
