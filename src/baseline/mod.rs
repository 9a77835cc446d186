//! What is usual for a subject: how much it sends, where to, in which protocols; how old that knowledge is; and the store that keeps it.
//!
//! A subject's bytes are added up by clock hour and by day. When an hour or a day closes, its sum is learnt into a decaying histogram
//! , from which the volume model predicts how probable a sum at least as large is. Beside the sums stand the destinations and
//! the protocols that the subject ever used. Nothing here judges; `detect` asks and judges.

mod priors;

pub use priors::Priors;
