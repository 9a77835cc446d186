use super::*;

fn script(line: &[&str]) -> Option<(ScriptSource, String)> {
    let name = path::file_name(line[0]).trim_start_matches('-');
    let language = Language::of(name).unwrap_or_else(|| panic!("{name} is no interpreter"));
    language.script(line, Some("/Users/ann/src"), None).map(|script| (script.source, script.name.to_string()))
}

fn assert_runs(cases: &[(&[&str], ScriptSource, &str)]) {
    for (line, source, name) in cases {
        assert_eq!(script(line), Some((*source, (*name).to_owned())), "{line:?}");
    }
}

use ScriptSource::{File, Inline, Module, Stdin};

#[test]
fn python() {
    assert_runs(&[
        (&["python3", "job.py", "-m", "x"], File, "/Users/*/src/job.py"),
        (&["/x/Python.app/Contents/MacOS/Python", "-Es", "-W", "ignore", "/opt/job.py"], File, "/opt/job.py"),
        (&["python3.12", "-m", "http.server", "8000"], Module, "http.server"),
        (&["python3", "-um", "pip"], Module, "pip"),
        (&["python3", "-mpip"], Module, "pip"),
        (&["python3", "-c", "import socket", "-m", "x"], Inline, "inline"),
        (&["python3", "-uc", "import socket"], Inline, "inline"),
        (&["python3", "-Xdev", "-", "x"], Stdin, "stdin"),
        (&["python3"], Stdin, "stdin"),
        (&["python3", "/dev/fd/63"], Stdin, "stdin"),
    ]);
    assert_eq!(script(&["python3", "--version"]), None);
}

#[test]
fn shells() {
    assert_runs(&[
        (&["/bin/sh", "-c", "curl x"], Inline, "inline"),
        (&["/bin/zsh", "-c", "touch x", "-"], Inline, "inline"),
        (&["bash", "-lc", "curl x"], Inline, "inline"),
        (&["bash", "-cl", "curl x"], Inline, "inline"),
        (&["bash", "-c", "-e", "curl x"], Inline, "inline"),
        (&["fish", "--command=curl x"], Inline, "inline"),
        (&["bash", "-eo", "pipefail", "job.sh"], File, "/Users/*/src/job.sh"),
        (&["bash", "+x", "--rcfile", "/x", "job.sh"], File, "/Users/*/src/job.sh"),
        (&["bash", "-s", "argument"], Stdin, "stdin"),
        (&["-zsh"], Stdin, "stdin"),
        (&["bash", "/dev/fd/63"], Stdin, "stdin"),
    ]);
}

#[test]
fn other_scripting_languages() {
    assert_runs(&[
        (&["node", "--require", "x", "app.js"], File, "/Users/*/src/app.js"),
        (&["node", "--inspect", "inspect", "app.js"], File, "/Users/*/src/app.js"),
        (&["node", "-e", "fetch()"], Inline, "inline"),
        (&["node", "--eval=fetch()"], Inline, "inline"),
        (&["ruby", "-rnet/http", "-e", "a", "-e", "b", "x"], Inline, "inline"),
        (&["ruby", "-I", "lib", "job.rb"], File, "/Users/*/src/job.rb"),
        (&["perl", "-MSocket", "-e", "a"], Inline, "inline"),
        (&["perl5.30", "-lane", "a", "file"], Inline, "inline"),
        (&["perl", "-i.bak", "-pe", "a", "file"], Inline, "inline"),
        (&["perl", "-w", "job.pl"], File, "/Users/*/src/job.pl"),
        (&["php", "-r", "a"], Inline, "inline"),
        (&["php8.2", "-d", "x=y", "job.php"], File, "/Users/*/src/job.php"),
        (&["lua5.4", "-l", "socket", "job.lua"], File, "/Users/*/src/job.lua"),
        (&["tclsh8.5", "job.tcl"], File, "/Users/*/src/job.tcl"),
        (&["expect", "-c", "spawn ssh"], Inline, "inline"),
        (&["Rscript", "-e", "a"], Inline, "inline"),
        (&["R", "--no-echo", "--file=job.R"], File, "/Users/*/src/job.R"),
        (&["pwsh", "-NoProfile", "-Command", "a"], Inline, "inline"),
    ]);
    assert_eq!(script(&["php", "-S", "localhost:80"]), None);
}

#[test]
fn osascript() {
    assert_runs(&[
        (&["osascript", "-e", "do shell script \"curl x\"", "-e", "end"], Inline, "inline"),
        (&["osascript", "-l", "JavaScript", "-e", "$.NSURL"], Inline, "inline"),
        (&["osascript", "-l", "JavaScript", "/tmp/x.js"], File, "/tmp/x.js"),
        (&["osascript", "-"], Stdin, "stdin"),
        (&["osascript"], Stdin, "stdin"),
    ]);
}

#[test]
fn java_runs_jars_modules_classes_and_sources() {
    assert_runs(&[
        (&["java", "-Xmx1g", "-cp", "a:b", "-jar", "app.jar", "-m"], Module, "/Users/*/src/app.jar"),
        (&["java", "-cp", "a:b", "com.foo.Main"], Module, "com.foo.Main"),
        (&["java", "-p", "mods", "-m", "foo/com.foo.Main"], Module, "foo/com.foo.Main"),
        (&["java", "Main.java"], File, "/Users/*/src/Main.java"),
    ]);
    assert_eq!(script(&["java", "-version"]), None);
}

#[test]
fn runtimes_with_commands() {
    assert_runs(&[
        (&["deno", "run", "-A", "https://deno.land/x/a.ts"], File, "https://deno.land/x/a.ts"),
        (&["deno", "eval", "fetch()"], Inline, "inline"),
        (&["deno", "-c", "deno.json", "run", "a.ts"], File, "/Users/*/src/a.ts"),
        (&["bun", "run", "dev"], Module, "dev"),
        (&["bun", "a.ts"], File, "/Users/*/src/a.ts"),
        (&["bun", "-e", "fetch()"], Inline, "inline"),
        (&["swift", "job.swift"], File, "/Users/*/src/job.swift"),
        (&["swift-frontend", "-frontend", "-interpret", "job.swift", "-x"], File, "/Users/*/src/job.swift"),
    ]);
    for line in [
        &["deno", "install"][..],
        &["bun", "install"],
        &["swift", "build"],
        &["swift-frontend", "-c", "a.swift"],
    ] {
        assert_eq!(script(line), None, "{line:?}");
    }
}

#[test]
fn the_interpreter_line_wins() {
    let found = Language::Shell.script(&["/bin/sh", "./x"], Some("/srv"), Some("/srv/job.sh")).unwrap();
    assert_eq!((found.source, &*found.name, found.sha256), (File, "/srv/job.sh", None));
}

#[test]
fn inline_code_is_told_apart_by_its_hash_only() {
    let run = |code| Language::Python.script(&["python3", "-c", code], None, None).unwrap();
    assert_eq!(run("a").name, run("b").name);
    assert_ne!(run("a").sha256, run("b").sha256);
    // SHA-256 of "a".
    assert_eq!(
        run("a").sha256.as_deref(),
        Some("ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb")
    );
}

#[test]
fn what_is_no_interpreter_is_none() {
    for name in ["curl", "pythonista", "nodemon", "python3-config", "sha256sum", "javac", "shortcuts", ""] {
        assert_eq!(Language::of(name), None, "{name}");
    }
}

proptest::proptest! {
    #[test]
    fn any_command_line_is_read_without_a_panic(line in proptest::collection::vec("[-+]{0,2}[a-zé=./]{0,6}", 0..8)) {
        for language in [Language::Bun, Language::Deno, Language::Java, Language::Node, Language::Perl, Language::Shell, Language::Swift] {
            language.script(&line, Some("/"), None);
        }
    }
}
