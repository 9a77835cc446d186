//! Answers how long a lock on a folder is waited for. The store and the spool each belong to one process; the one that comes next,
//! after a restart, may come some milliseconds before the last one has let go, as does any process while a child that was forked
//! from it has not yet called `exec` and still holds the lock's file.

use std::thread::sleep;
use std::time::Duration;

/// Tries until something else than a held lock comes out of it, for [`WAIT`] at most.
pub(crate) fn wait_while_held<T, E>(
    mut open: impl FnMut() -> Result<T, E>,
    is_held: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let mut left = WAIT.as_millis() / PAUSE.as_millis();
    loop {
        match open() {
            Err(error) if left > 0 && is_held(&error) => left -= 1,
            done => return done,
        }
        sleep(PAUSE);
    }
}

/// Longer than any orderly stop needs for its last flush once it answers no more, and short enough for a person who types a verb.
const WAIT: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(25);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_let_go_is_taken_and_any_other_error_is_told_at_once() {
        let mut held = 3;
        let taken = wait_while_held(
            || {
                held -= 1;
                if held > 0 { Err("held") } else { Ok("mine") }
            },
            |error| *error == "held",
        );
        assert_eq!(taken, Ok("mine"));
        let mut tries = 0;
        let refused: Result<(), _> = wait_while_held(
            || {
                tries += 1;
                Err("full")
            },
            |error| *error == "held",
        );
        assert_eq!((refused, tries), (Err("full"), 1));
    }
}
