//! Names that DNS answers gave to addresses.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::observation::Origin;

/// The name by which an address was last asked for.
///
/// A flow whose client names no server (no SNI, an encrypted hello, a protocol without names) still went to an address that somebody
/// had looked up. The latest answer wins, since it is the one that led to the flow; the address learnt longest ago is forgotten first.
/// Answers of one capture name no flow of another.
#[derive(Debug, Default)]
pub struct Names {
    by_address: HashMap<(Origin, IpAddr), Arc<str>, foldhash::fast::FixedState>,
    order: VecDeque<(Origin, IpAddr)>,
}

impl Names {
    /// Learns that `name` was answered with `address`.
    pub fn learn(&mut self, origin: Origin, address: IpAddr, name: &Arc<str>) {
        let key = (origin, address.to_canonical());
        if self.by_address.insert(key, Arc::clone(name)).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > MOST_ADDRESSES
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_address.remove(&oldest);
        }
    }

    /// The name by which `address` was asked for, where an answer was seen.
    pub fn name_of(&self, origin: Origin, address: IpAddr) -> Option<&Arc<str>> {
        self.by_address.get(&(origin, address.to_canonical()))
    }
}

/// Addresses kept: a busy Mac uses some hundreds a day.
const MOST_ADDRESSES: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_answer_names_an_address() {
        let mut names = Names::default();
        let address = IpAddr::from([192, 0, 2, 1]);
        names.learn(Origin(0), address, &"first.example".into());
        names.learn(Origin(0), address, &"second.example".into());
        assert_eq!(names.name_of(Origin(0), address).map(|name| &**name), Some("second.example"));
        assert_eq!(names.name_of(Origin(1), address), None);
    }

    #[test]
    fn the_oldest_address_is_forgotten_first() {
        let mut names = Names::default();
        let address = |n: u32| IpAddr::from(n.to_be_bytes());
        for n in 0..=u32::try_from(MOST_ADDRESSES).unwrap() {
            names.learn(Origin(0), address(n), &"x.example".into());
        }
        assert_eq!(names.name_of(Origin(0), address(0)), None);
        assert!(names.name_of(Origin(0), address(1)).is_some());
        assert_eq!(names.by_address.len(), MOST_ADDRESSES);
    }
}
