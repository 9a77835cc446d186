//! The verbs as a person types them, against a receiver: whether a test event arrives, how delivery stands, what exceptions hide.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::hostile::{Act, Hostile};
use crate::recording::{GENEROUS, HEADER, alerts, image, upload};

fn tidemark(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidemark")).args(args).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn hook(receiver: &Hostile) -> String {
    format!("[[delivery.sink]]\ntype='webhook'\nname='hook'\nurl='{}'\nformat='native'\n", receiver.url())
}

fn written(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_test_event_goes_to_every_sink_and_each_answer_is_told() {
    let taking = Hostile::start(|_, _| Act::Take(String::new())).await;
    let refusing = Hostile::start(|_, _| Act::Say(403, "", "no such token".to_owned())).await;
    let folder = tempfile::tempdir().unwrap();
    let config = hook(&taking) + &hook(&refusing).replace("'hook'", "'shut'");
    let config = written(folder.path(), "tidemark.toml", &config);
    let output = tidemark(&["sink", "test", "--config", &config]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let [event] = taking.ids().try_into().unwrap();
    assert!(said.contains(&format!("hook: delivered, event {event}")), "{said}");
    assert!(said.contains("shut: NOT delivered") && said.contains("403"), "{said}");
    let document: Value = serde_json::from_str(&taking.taken()[0].body).unwrap();
    assert_eq!((&document["test"], &document["kind"]), (&Value::Bool(true), &"test".into()));

    assert!(tidemark(&["sink", "test", "--only", "hook", "--config", &config]).status.success());
    assert_eq!((taking.ids().len(), refusing.seen().len()), (2, 1));
    assert_eq!(tidemark(&["sink", "test", "--only", "nobody", "--config", &config]).status.code(), Some(78));
}

/// What `tidemark run` does with these uploads and exceptions, with a receiver beside it.
async fn run(folder: &Path, uploads: std::ops::Range<usize>, exceptions: &str) -> Hostile {
    let receiver = Hostile::start(|_, _| Act::Take(String::new())).await;
    std::fs::create_dir_all(folder.join("exceptions.d")).unwrap();
    std::fs::write(folder.join("exceptions.d/some.toml"), exceptions).unwrap();
    let config = format!("{GENEROUS}\n[exceptions]\ndirectory='exceptions.d'\n{}", hook(&receiver));
    let config = written(folder, "tidemark.toml", &config);
    let lines: Vec<_> = std::iter::once(HEADER.to_owned()).chain(uploads.flat_map(upload)).collect();
    let source = format!("recording:{}", written(folder, "recording.ndjson", &lines.join("\n")));
    let state = folder.join("state");
    let output =
        tidemark(&["run", "--config", &config, "--state", state.to_str().unwrap(), "--source", &source]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    receiver
}

fn exception(id: &str, upload: usize, more: &str) -> String {
    format!(
        "[[exception]]\nid='{id}'\nowner='it@example.com'\nreason='nightly'\ncreated=2026-05-01\nexpires=2026-06-10\n\
         match.image='path:{}'\n{more}\n",
        image(upload)
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_suppressed_is_kept_counted_and_can_be_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let exceptions = exception("FIRST", 0, "") + &exception("LOWER", 1, "action='lower'");
    let receiver = run(folder.path(), 0..4, &exceptions).await;
    let state = folder.path().join("state");
    let state = state.to_str().unwrap();

    let received: Vec<Value> = receiver
        .taken()
        .iter()
        .flat_map(|request| request.body.lines().map(str::to_owned).collect::<Vec<_>>())
        .map(|line| serde_json::from_str(&line).unwrap())
        .collect();
    let of =
        |n: usize| received.iter().filter(|event| event["process"]["path"] == image(n)).collect::<Vec<_>>();
    assert!(of(0).is_empty() && !of(2).is_empty());
    assert!(!of(1).is_empty());
    for lowered in of(1) {
        assert_eq!(
            (&lowered["severity"], &lowered["exception"]["action"]),
            (&"info".into(), &"lower".into())
        );
    }
    // Its end is nine days away, on the day of the recording.
    let due: Vec<_> = received.iter().filter(|event| event["kind"] == "exceptions_due").collect();
    assert_eq!(due.len(), 1);
    assert_eq!((&due[0]["exceptions"][0]["days_left"], &due[0]["severity"]), (&9.into(), &"low".into()));

    let status: Value =
        serde_json::from_str(&text(&tidemark(&["sink", "status", "--state", state]).stdout)).unwrap();
    let suppressed = status["exceptions"]["suppressed"]["FIRST"].as_u64().unwrap();
    assert!(suppressed > 0);
    assert_eq!(status["exceptions"]["due"][0]["id"], "FIRST");
    assert_eq!(status["exceptions"]["lowered"]["LOWER"], of(1).len());
    assert_eq!(status["sinks"][0]["sent"], received.len());
    assert_eq!(status["spool"]["queues"]["alerts"]["waiting"], 0);

    let kept = tidemark(&["exceptions", "suppressed", "--state", state, "--exception", "FIRST"]);
    let kept: Vec<Value> =
        text(&kept.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(kept.len() as u64, suppressed);
    assert!(kept.iter().all(|finding| finding["process"]["path"] == image(0)));

    // An alert that was delivered long ago is found by its id, or the beginning of it, and so is one that was suppressed.
    for id in [of(2)[0]["id"].as_str().unwrap(), kept[0]["id"].as_str().unwrap()] {
        let told = tidemark(&["explain", id, "--state", state]);
        assert!(text(&told.stdout).contains(id), "{}", text(&told.stderr));
    }
    let told = tidemark(&["explain", "ffffffff-not-there", "--state", state]);
    assert_eq!(told.status.code(), Some(66));

    // A new exception is tried on what was found, alerts and suppressed findings alike.
    let new = written(folder.path(), "new.toml", &(exception("NEW-0", 0, "") + &exception("NEW-2", 2, "")));
    let tried = text(&tidemark(&["exceptions", "test", &new, "--state", state]).stdout);
    let alerts_of_2 = of(2).len();
    let total = kept.len() + received.iter().filter(|event| event["process"]["path"].is_string()).count();
    let verdict = format!(
        "{} of {total} findings would have been covered; {alerts_of_2} of them had left as alerts",
        kept.len() + alerts_of_2
    );
    assert!(tried.contains(&verdict), "{tried} against {verdict}");
    let unused = text(&tidemark(&["exceptions", "unused", "--exceptions", &new, "--state", state]).stdout);
    assert_eq!(unused, "");
}

#[test]
fn every_form_of_an_alert_gets_the_same_suggestion_and_explanation() {
    let folder = tempfile::tempdir().unwrap();
    let native = alerts(0..1).remove(0);
    let alert = tidemark::alert::Alert::read(&native).unwrap();
    let exceptions = written(folder.path(), "some.toml", &exception("OTHER", 7, ""));
    let mut said = Vec::new();
    for (name, document) in [
        ("native.json", native),
        ("ocsf.json", alert.render(tidemark::alert::Format::Ocsf)),
        ("ecs.json", alert.render(tidemark::alert::Format::Ecs)),
        ("slim.json", alert.render_slim(tidemark::alert::Format::Ocsf)),
    ] {
        let path = written(folder.path(), name, &document);
        let suggested = tidemark(&["exceptions", "suggest", &path, "--today", "2026-06-02"]);
        let explained = tidemark(&["exceptions", "explain", &path, "--exceptions", &exceptions]);
        assert!(suggested.status.success(), "{name}: {}", text(&suggested.stderr));
        said.push((text(&suggested.stdout), text(&explained.stdout)));
    }
    assert!(said[0].0.contains(&format!("match.image = \"path:{}\"", image(0))), "{}", said[0].0);
    assert!(said[0].1.contains("OTHER"), "{}", said[0].1);
    assert!(said.iter().all(|one| *one == said[0]), "{said:#?}");
}
