//! The destinations that a subject ever used, in bounded memory.

use serde::{Deserialize, Serialize};

/// Two generations of fingerprints: a destination that is used again moves to the current one, so that only those unused for a whole
/// generation are forgotten. A small generation keeps its fingerprints; a larger one is a Bloom filter of 1024 bits (three a
/// fingerprint, at most 100 of them: 1.6 % of new destinations are then taken for known).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Destinations {
    current: Generation,
    previous: Generation,
    /// The host day of the latest rotation.
    rotated: u32,
    /// New today: they stay new for the rest of the day.
    today: Vec<Fingerprint>,
    /// What an analyst called malicious: never known.
    distrusted: Vec<u32>,
    /// How many were ever new.
    ever: u32,
}

/// A destination, as a number. Keyed by the subject, so that one crafted collision serves against one subject only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Of a destination's text, keyed. FNV-1a and the finaliser of `SplitMix64`: stable across versions, since it is stored.
    pub fn of(destination: &str, key: u64) -> Self {
        let start = FNV_OFFSET ^ key;
        let hash =
            destination.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
        let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(hash ^ (hash >> 31))
    }

    /// A key from a text.
    pub fn key(text: &str) -> u64 {
        Self::of(text, 0).0
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    fn short(self) -> u32 {
        self.0 as u32
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "StoredGeneration", from = "StoredGeneration")]
enum Generation {
    /// Sorted, at most [`EXACT`].
    Exact(Vec<u32>),
    /// More than [`EXACT`].
    Bloom { bits: Box<[u8]>, count: u32 },
}

/// A generation on disk: fingerprints of four bytes each where they are at most [`EXACT`], else the filter.
#[derive(Serialize, Deserialize)]
struct StoredGeneration {
    count: u32,
    bytes: Vec<u8>,
}

impl From<Generation> for StoredGeneration {
    fn from(generation: Generation) -> Self {
        match generation {
            Generation::Exact(kept) => Self {
                count: u32::try_from(kept.len()).unwrap_or(u32::MAX),
                bytes: kept.iter().flat_map(|short| short.to_be_bytes()).collect(),
            },
            Generation::Bloom { bits, count } => Self { count, bytes: bits.into_vec() },
        }
    }
}

impl From<StoredGeneration> for Generation {
    fn from(stored: StoredGeneration) -> Self {
        let StoredGeneration { count, mut bytes } = stored;
        if count as usize <= EXACT {
            let (shorts, _) = bytes.as_chunks::<4>();
            Self::exact(shorts.iter().take(EXACT).map(|short| u32::from_be_bytes(*short)).collect())
        } else {
            bytes.resize(BLOOM_BYTES, 0);
            Self::Bloom { bits: bytes.into_boxed_slice(), count }
        }
    }
}

impl Default for Generation {
    fn default() -> Self {
        Self::Exact(Vec::new())
    }
}

impl Destinations {
    /// Notes a use; `true` where the subject never used it before today.
    pub fn meet(&mut self, destination: Fingerprint, day: u32) -> bool {
        let short = destination.short();
        if self.today.contains(&destination) {
            return true;
        }
        if !self.distrusted.contains(&short) {
            if self.current.contains(short) {
                return false;
            }
            if self.previous.contains(short) {
                self.insert(short, day);
                return false;
            }
        }
        self.ever = self.ever.saturating_add(1);
        if self.today.len() < MOST_TODAY {
            self.today.push(destination);
        } else {
            self.insert(short, day);
        }
        true
    }

    /// A day closed: what was new on it is known from now on.
    pub fn close_day(&mut self, day: u32) {
        for destination in std::mem::take(&mut self.today) {
            self.insert(destination.short(), day);
        }
    }

    /// What is new today is never to be known: an analyst called it malicious. Bounded; the oldest go first.
    pub fn distrust_today(&mut self) -> Vec<u32> {
        let new: Vec<u32> = std::mem::take(&mut self.today).into_iter().map(Fingerprint::short).collect();
        self.distrust(&new);
        new
    }

    /// These are never to be known.
    pub fn distrust(&mut self, destinations: &[u32]) {
        for short in destinations {
            if !self.distrusted.contains(short) {
                self.distrusted.push(*short);
            }
        }
        let surplus = self.distrusted.len().saturating_sub(MOST_DISTRUSTED);
        self.distrusted.drain(..surplus);
    }

    /// Fingerprints of what is new today, at most a few: kept with a lesson that an analyst may take back.
    pub fn new_today(&self, most: usize) -> Vec<u32> {
        self.today.iter().take(most).map(|d| d.short()).collect()
    }

    /// How many destinations were ever new.
    pub fn count(&self) -> u32 {
        self.ever
    }

    /// Adds what another baseline of the same subject knows.
    pub fn merge(&mut self, other: &Self) {
        self.current.merge(&other.current);
        self.previous.merge(&other.previous);
        for destination in &other.today {
            if !self.today.contains(destination) {
                self.today.push(*destination);
            }
        }
        self.today.sort_unstable();
        self.distrusted.extend(&other.distrusted);
        self.distrusted.sort_unstable();
        self.distrusted.dedup();
        self.rotated = self.rotated.max(other.rotated);
        self.ever = self.ever.saturating_add(other.ever);
    }

    /// Moves the day of the latest rotation.
    pub(super) fn shift(&mut self, days: u32) {
        self.rotated = self.rotated.saturating_add(days);
    }

    fn insert(&mut self, short: u32, day: u32) {
        if self.current.count() >= GENERATION || day.saturating_sub(self.rotated) >= GENERATION_DAYS {
            self.previous = std::mem::take(&mut self.current);
            self.rotated = day;
        }
        self.current.insert(short);
    }
}

impl Generation {
    /// Of fingerprints in any order.
    fn exact(mut kept: Vec<u32>) -> Self {
        kept.sort_unstable();
        kept.dedup();
        kept.shrink_to_fit();
        Self::Exact(kept)
    }

    fn contains(&self, short: u32) -> bool {
        match self {
            Self::Exact(kept) => kept.binary_search(&short).is_ok(),
            Self::Bloom { bits, .. } => {
                positions(short).into_iter().all(|(byte, bit)| bits.get(byte).is_some_and(|b| b & bit != 0))
            }
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::Exact(kept) => kept.len(),
            Self::Bloom { count, .. } => *count as usize,
        }
    }

    fn insert(&mut self, short: u32) {
        match self {
            Self::Exact(kept) => {
                if let Err(at) = kept.binary_search(&short) {
                    kept.insert(at, short);
                }
                if kept.len() > EXACT {
                    *self = self.as_bloom();
                }
            }
            Self::Bloom { bits, count } => {
                for (byte, bit) in positions(short) {
                    if let Some(slot) = bits.get_mut(byte) {
                        *slot |= bit;
                    }
                }
                *count = count.saturating_add(1);
            }
        }
    }

    fn as_bloom(&self) -> Self {
        match self {
            Self::Bloom { .. } => self.clone(),
            Self::Exact(kept) => {
                let mut bloom = Self::Bloom { bits: Box::new([0; BLOOM_BYTES]), count: 0 };
                for short in kept {
                    bloom.insert(*short);
                }
                bloom
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        if let (Self::Exact(ours), Self::Exact(theirs)) = (&mut *self, other) {
            ours.extend(theirs);
            ours.sort_unstable();
            ours.dedup();
            if ours.len() > EXACT {
                *self = self.as_bloom();
            }
            return;
        }
        let theirs = other.as_bloom();
        *self = self.as_bloom();
        if let (Self::Bloom { bits, count }, Self::Bloom { bits: other_bits, count: other_count }) =
            (self, theirs)
        {
            bits.iter_mut().zip(other_bits).for_each(|(ours, theirs)| *ours |= theirs);
            *count = count.saturating_add(other_count);
        }
    }
}

/// [`Destinations`] as versions 1 and 2 stored them.
#[derive(Deserialize)]
pub(super) struct DestinationsV2 {
    current: GenerationV2,
    previous: GenerationV2,
    rotated: u32,
    today: Vec<Fingerprint>,
    distrusted: Vec<u32>,
    ever: u32,
}

#[derive(Deserialize)]
enum GenerationV2 {
    Exact(Vec<u32>),
    Bloom { bits: Vec<u8>, count: u32 },
}

impl From<DestinationsV2> for Destinations {
    fn from(old: DestinationsV2) -> Self {
        let DestinationsV2 { current, previous, rotated, today, distrusted, ever } = old;
        Self { current: current.into(), previous: previous.into(), rotated, today, distrusted, ever }
    }
}

impl From<GenerationV2> for Generation {
    fn from(old: GenerationV2) -> Self {
        match old {
            GenerationV2::Exact(kept) => Self::exact(kept),
            GenerationV2::Bloom { mut bits, count } => {
                bits.resize(BLOOM_BYTES, 0);
                Self::Bloom { bits: bits.into_boxed_slice(), count }
            }
        }
    }
}

/// The three bits of a fingerprint: ten bits of it each.
fn positions(short: u32) -> [(usize, u8); 3] {
    [0, 10, 20].map(|shift| {
        let position = (short >> shift) & (BLOOM_BITS - 1);
        ((position / 8) as usize, 1u8 << (position % 8))
    })
}

/// Bits of a Bloom filter.
const BLOOM_BITS: u32 = 1024;
const BLOOM_BYTES: usize = (BLOOM_BITS / 8) as usize;
/// A generation this large is kept as it is; a larger one as a filter, which then is the smaller form.
const EXACT: usize = 32;
/// A generation is full at this many (METHOD.md 10).
const GENERATION: usize = 100;
/// A generation ends after this many host days (METHOD.md 10).
const GENERATION_DAYS: u32 = 30;
/// New destinations of one day that stay new for the rest of it; more are new only once.
const MOST_TODAY: usize = 128;
/// Distrusted destinations kept a subject.
const MOST_DISTRUSTED: usize = 32;

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(name: &str) -> Fingerprint {
        Fingerprint::of(name, 7)
    }

    #[test]
    fn a_destination_stays_new_for_the_rest_of_its_day() {
        let mut known = Destinations::default();
        assert!(known.meet(of("example.com"), 0));
        assert!(known.meet(of("example.com"), 0));
        known.close_day(0);
        assert!(!known.meet(of("example.com"), 1));
    }

    #[test]
    fn a_destination_in_daily_use_outlives_the_generations() {
        let mut known = Destinations::default();
        for day in 0..200 {
            let new = known.meet(of("daily.example"), day);
            assert_eq!(new, day == 0, "day {day}");
            for n in 0..20 {
                known.meet(of(&format!("{day}-{n}.example")), day);
            }
            known.close_day(day);
        }
    }

    #[test]
    fn few_new_destinations_are_taken_for_known() {
        let mut known = Destinations::default();
        for n in 0..190 {
            known.meet(of(&format!("known-{n}.example")), 0);
        }
        known.close_day(0);
        let taken = (0..1_000).filter(|n| !known.meet(of(&format!("new-{n}.example")), 1)).count();
        assert!(taken < 60, "{taken} of 1000");
    }

    #[test]
    fn a_malicious_destination_stays_new() {
        let mut known = Destinations::default();
        known.meet(of("evil.example"), 0);
        known.distrust_today();
        known.close_day(0);
        assert!(known.meet(of("evil.example"), 1));
        known.close_day(1);
        assert!(known.meet(of("evil.example"), 2));
    }

    proptest! {
        #[test]
        fn what_is_stored_comes_back(names in prop::collection::vec("[a-z]{3}", 0..150), days in 1u32..40) {
            let mut known = Destinations::default();
            for (name, day) in names.iter().zip((0..days).cycle()) {
                known.meet(of(name), day);
                known.close_day(day);
            }
            let stored = postcard::to_stdvec(&known).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Destinations>(&stored).unwrap(), known);
        }

        #[test]
        fn merging_commutes_and_forgets_nothing(a in prop::collection::vec("[a-z]{3}", 0..60), b in prop::collection::vec("[a-z]{3}", 0..60)) {
            let known = |names: &[String]| {
                let mut known = Destinations::default();
                for name in names {
                    known.meet(of(name), 0);
                }
                known.close_day(0);
                known
            };
            let (x, y) = (known(&a), known(&b));
            let (mut xy, mut yx) = (x.clone(), y.clone());
            xy.merge(&y);
            yx.merge(&x);
            prop_assert_eq!(&xy, &yx);
            for name in a.iter().chain(&b) {
                prop_assert!(!xy.meet(of(name), 1));
            }
        }
    }
}
