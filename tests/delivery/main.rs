//! Delivery against receivers: hostile ones made here, and real ones where `scripts/receivers.sh` has installed them.

mod hostile;
mod http;
mod kill;
mod real;
mod rig;
mod secure;
