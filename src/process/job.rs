//! The names of launchd's jobs.

use super::facts::Identity;
use super::token;

/// The label that launchd gave a job, without what differs from instance to instance; `None` where it names no job: `0` outside of
/// launchd's jobs, `application.*` for apps, which have an identity of their own.
pub(super) fn label(xpc_service_name: &str) -> Option<String> {
    (!xpc_service_name.is_empty()
        && xpc_service_name != "0"
        && !xpc_service_name.starts_with(APPLICATION_LABEL))
    .then(|| token::fold(xpc_service_name))
}

/// The bundle identifier in an app's label `application.<bundle id>.<n>.<n>`.
pub(super) fn application(xpc_service_name: &str) -> Option<&str> {
    let mut bundle = xpc_service_name.strip_prefix(APPLICATION_LABEL)?;
    while let Some((front, number)) = bundle.rsplit_once('.') {
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            break;
        }
        bundle = front;
    }
    (!bundle.is_empty()).then_some(bundle)
}

/// The identity of a job of launchd as an initiator.
pub(super) fn identity(label: &str) -> Identity {
    Identity::new(format!("launchd:{label}"))
}

const APPLICATION_LABEL: &str = "application.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_lose_what_differs_between_instances() {
        assert_eq!(label("com.example.job").as_deref(), Some("com.example.job"));
        assert_eq!(
            label("com.apple.xpc.launchd.oneshot.0x10000005.curl").as_deref(),
            Some("com.apple.xpc.launchd.oneshot.*.curl")
        );
        assert_eq!(label("0"), None);
        assert_eq!(label(""), None);
        assert_eq!(label("application.com.apple.Terminal.1152921500311883555.1152921500311883560"), None);
        assert_eq!(
            application("application.com.apple.Terminal.1152921500311883555.1152921500311883560"),
            Some("com.apple.Terminal")
        );
        assert_eq!(application("com.example.job"), None);
    }
}
