//! Every chain of processes that a Mac is known to make, by name.

use super::super::simulation::*;

const LOGIN: Program = apple("/usr/bin/login", "com.apple.login");
const AUTOMATOR_RUNNER: Program = apple(
    "/System/Library/Frameworks/Automator.framework/Versions/A/XPCServices/com.apple.automator.runner.xpc/Contents/MacOS/com.apple.automator.runner",
    "com.apple.automator.runner",
);
const MAC_HELPER: Program = apple(
    "/System/Library/PrivateFrameworks/WorkflowKit.framework/XPCServices/MacHelper.xpc/Contents/MacOS/MacHelper",
    "com.apple.WorkflowKit.MacHelper",
);
const SHORTCUTS: Program =
    apple("/System/Applications/Shortcuts.app/Contents/MacOS/Shortcuts", "com.apple.shortcuts");
const WORD: Program = vendor(
    "/Applications/Microsoft Word.app/Contents/MacOS/Microsoft Word",
    "UBF8T346G9",
    "com.microsoft.Word",
);
const CODE: Program = vendor(
    "/Applications/Visual Studio Code.app/Contents/MacOS/Electron",
    "UBF8T346G9",
    "com.microsoft.VSCode",
);
const SHIM: Program = apple("/usr/bin/git", "com.apple.dt.xcode_select.tool-shim-public");

fn job(label: &str) -> [(&str, &str); 1] {
    [("XPC_SERVICE_NAME", label)]
}

#[test]
fn an_app_and_a_daemon_have_no_initiator() {
    let mut mac = Mac::new();
    let terminal = mac.open(TERMINAL);
    assert_eq!(mac.subject(&terminal), "apple:com.apple.Terminal");
    assert!(mac.who(&terminal).initiator_known);
    let daemon = mac.launch(
        unsigned("/usr/local/sbin/collectord"),
        With { environment: &job("org.collect.d"), ..With::default() },
    );
    assert_eq!(mac.subject(&daemon), "path:/usr/local/sbin/collectord");
}

#[test]
fn osascript_that_runs_a_shell_that_becomes_curl() {
    let mut mac = Mac::new();
    let terminal = mac.open(TERMINAL);
    let osascript = mac.spawn(&terminal, OSASCRIPT, &["osascript", "-e", "do shell script \"curl x\""]);
    let sh = mac.spawn(&osascript, SH, &["sh", "-c", "curl x"]);
    let bash = mac.exec(&sh, BASH, &["sh", "-c", "curl x"]);
    let curl = mac.exec(&bash, CURL, &["curl", "x"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < apple:com.apple.osascript");
    let who = mac.who(&curl);
    assert!(who.role.tool && who.role.scripted && !who.role.scripting_host);
    assert_eq!(who.initiator.as_ref().unwrap().key, osascript.info.key);
    assert_eq!(&*who.initiator.as_ref().unwrap().arguments[2], "do shell script \"curl x\"");
    let paths: Vec<&str> = who.ancestors.iter().map(|ancestor| &*ancestor.path).collect();
    assert_eq!(paths, [BASH.path, SH.path, OSASCRIPT.path, TERMINAL.path, XPCPROXY.path, LAUNCHD.path]);
}

#[test]
fn osascript_that_runs_a_shell_that_forks_curl() {
    let mut mac = Mac::new();
    let osascript = mac.open(OSASCRIPT);
    let sh = mac.spawn(&osascript, SH, &["sh", "-c", "curl x; true"]);
    let curl = mac.spawn(&sh, CURL, &["curl", "x"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < apple:com.apple.osascript");
}

#[test]
fn jxa_speaks_for_itself() {
    let mut mac = Mac::new();
    let terminal = mac.open(TERMINAL);
    let zsh = mac.spawn(&terminal, ZSH, &["-zsh"]);
    let osascript = mac.spawn(&zsh, OSASCRIPT, &["osascript", "-l", "JavaScript", "-e", "$.NSURL"]);
    assert_eq!(mac.subject(&osascript), "apple:com.apple.osascript < apple:com.apple.Terminal");
    let who = mac.who(&osascript);
    assert!(who.role.scripting_host && who.role.tool);
    assert_eq!(&*who.process.script.as_ref().unwrap().name, "inline");
}

#[test]
fn an_exported_script_app() {
    let mut mac = Mac::new();
    let applet = mac.open(unsigned("/Users/ann/Desktop/Report.app/Contents/MacOS/applet"));
    let sh = mac.spawn(&applet, SH, &["sh", "-c", "curl x"]);
    let curl = mac.exec(&sh, CURL, &["curl", "x"]);
    let who = mac.who(&curl);
    assert_eq!(
        who.subject.to_string(),
        "apple:com.apple.curl < path:/Users/*/Desktop/Report.app/Contents/MacOS/applet"
    );
    assert!(who.role.scripted);
    assert_eq!(
        &*who.application.as_ref().unwrap().path,
        "/Users/ann/Desktop/Report.app/Contents/MacOS/applet"
    );
}

#[test]
fn script_editor_runs_a_script() {
    let mut mac = Mac::new();
    let editor = mac.open(apple(
        "/System/Applications/Utilities/Script Editor.app/Contents/MacOS/Script Editor",
        "com.apple.ScriptEditor2",
    ));
    let sh = mac.spawn(&editor, SH, &["sh", "-c", "curl x"]);
    let curl = mac.exec(&sh, CURL, &["curl", "x"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < apple:com.apple.ScriptEditor2");
}

#[test]
fn automator_runs_a_workflow() {
    let mut mac = Mac::new();
    let automator = mac.open(AUTOMATOR);
    let sh = mac.spawn(&automator, BASH, &["bash", "-c", "curl x"]);
    let curl = mac.exec(&sh, CURL, &["curl", "x"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < apple:com.apple.Automator");
    assert_eq!(mac.who(&curl).application.as_ref().unwrap().identity.as_str(), "apple:com.apple.Automator");
}

#[test]
fn automators_runner_is_tied_to_automator_by_the_responsible_process() {
    let mut mac = Mac::new();
    let automator = mac.open(AUTOMATOR);
    let launchd = mac.launchd.clone();
    let mut proxy = mac.spawn(&launchd, XPCPROXY, &["xpcproxy"]);
    proxy.info.responsible = Some(automator.info.key);
    let runner = mac.exec(&proxy, AUTOMATOR_RUNNER, &[]);
    let sh = mac.spawn(&runner, SH, &["sh", "-c", "curl x"]);
    let curl = mac.exec(&sh, CURL, &["curl", "x"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < apple:com.apple.Automator");
    let who = mac.who(&curl);
    assert!(who.role.scripted);
    assert_eq!(who.application.as_ref().unwrap().key, automator.info.key);
    assert!(
        who.ancestors.iter().any(|ancestor| ancestor.identity.as_str() == "apple:com.apple.automator.runner")
    );
}

#[test]
fn a_runner_whose_app_is_told_only_at_the_child() {
    let mut mac = Mac::new();
    let automator = mac.open(AUTOMATOR);
    let runner = mac.open(AUTOMATOR_RUNNER);
    let mut sh = mac.fork(&runner);
    sh.info.responsible = Some(automator.info.key);
    let curl = mac.exec(&sh, CURL, &["curl", "x"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < apple:com.apple.Automator");
}

#[test]
fn a_runner_without_an_app_stands_for_itself() {
    let mut mac = Mac::new();
    let runner = mac.open(AUTOMATOR_RUNNER);
    let sh = mac.spawn(&runner, SH, &["sh", "-c", "curl x"]);
    let curl = mac.exec(&sh, CURL, &["curl", "x"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < apple:com.apple.automator.runner");
    assert!(mac.who(&curl).role.scripted);
}

#[test]
fn an_exported_automator_app_is_a_stub_that_launchd_starts() {
    let mut mac = Mac::new();
    let stub = mac.launch(
        unsigned("/Users/ann/Upload.app/Contents/MacOS/Automator Application Stub"),
        With { environment: &job("application.com.apple.automator.Upload.11.12"), ..With::default() },
    );
    assert_eq!(mac.subject(&stub), "path:/Users/*/Upload.app/Contents/MacOS/Automator Application Stub");
    let sh = mac.spawn(&stub, SH, &["sh", "-c", "curl x"]);
    let curl = mac.exec(&sh, CURL, &["curl", "x"]);
    assert_eq!(
        mac.subject(&curl),
        "apple:com.apple.curl < path:/Users/*/Upload.app/Contents/MacOS/Automator Application Stub"
    );
    assert!(mac.who(&curl).role.scripted);
}

#[test]
fn a_quick_action_runs_in_the_workflow_service_runner() {
    let mut mac = Mac::new();
    let finder =
        mac.open(apple("/System/Library/CoreServices/Finder.app/Contents/MacOS/Finder", "com.apple.finder"));
    let launchd = mac.launchd.clone();
    let mut proxy = mac.spawn(&launchd, XPCPROXY, &["xpcproxy"]);
    proxy.info.responsible = Some(finder.info.key);
    let runner = mac.exec(
        &proxy,
        apple(
            "/x/WorkflowServiceRunner.xpc/Contents/MacOS/WorkflowServiceRunner",
            "com.apple.automator.xpc.workflowServiceRunner",
        ),
        &[],
    );
    let sh = mac.spawn(&runner, SH, &["sh", "-c", "curl x"]);
    let curl = mac.exec(&sh, CURL, &["curl", "x"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < apple:com.apple.finder");
    assert!(mac.who(&curl).role.scripted, "the Finder runs no scripts, but its runner does");
}

#[test]
fn a_folder_action_runs_in_the_user_script_service() {
    let mut mac = Mac::new();
    let service = mac
        .open(apple("/x/com.apple.foundation.UserScriptService", "com.apple.foundation.UserScriptService"));
    let osascript = mac.spawn(&service, OSASCRIPT, &["osascript", "/Users/ann/Library/Scripts/a.scpt"]);
    assert_eq!(
        mac.subject(&osascript),
        "apple:com.apple.osascript < apple:com.apple.foundation.UserScriptService"
    );
}

#[test]
fn a_shortcut_runs_its_shell_in_mac_helper() {
    let mut mac = Mac::new();
    let helper = mac.open(MAC_HELPER);
    let zsh = mac.spawn(&helper, ZSH, &["/bin/zsh", "-c", "curl x", "-"]);
    let curl = mac.exec(&zsh, CURL, &["curl", "x"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < apple:com.apple.WorkflowKit.MacHelper");

    let shortcuts = mac.open(SHORTCUTS);
    let launchd = mac.launchd.clone();
    let mut proxy = mac.spawn(&launchd, XPCPROXY, &["xpcproxy"]);
    proxy.info.responsible = Some(shortcuts.info.key);
    let helper = mac.exec(&proxy, MAC_HELPER, &[]);
    let zsh = mac.spawn(&helper, ZSH, &["/bin/zsh", "-c", "curl x", "-"]);
    let curl = mac.exec(&zsh, CURL, &["curl", "x"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < apple:com.apple.shortcuts");
}

#[test]
fn administrator_privileges_go_through_a_trampoline() {
    let mut mac = Mac::new();
    let osascript = mac.open(OSASCRIPT);
    let trampoline = mac.spawn(
        &osascript,
        apple("/usr/libexec/security_authtrampoline", "com.apple.security_authtrampoline"),
        &["security_authtrampoline", "/bin/sh"],
    );
    let sh = mac.exec(&trampoline, SH, &["/bin/sh", "-c", "curl x"]);
    let curl = mac.exec(&sh, CURL, &["curl", "x"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < apple:com.apple.osascript");
}

#[test]
fn an_app_that_runs_a_shell() {
    let mut mac = Mac::new();
    let word = mac.open(WORD);
    let zsh = mac.spawn(&word, ZSH, &["/bin/zsh", "-c", "curl x"]);
    let curl = mac.exec(&zsh, CURL, &["curl", "x"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < UBF8T346G9:com.microsoft.Word");
    assert!(mac.who(&curl).role.scripted);
}

#[test]
fn a_terminal_with_login_shells_sudo_and_env() {
    let mut mac = Mac::new();
    let terminal = mac.open(TERMINAL);
    let login = mac.spawn(&terminal, LOGIN, &["login", "-pf", "ann"]);
    let zsh = mac.spawn(&login, ZSH, &["-zsh"]);
    let sudo = mac.spawn(&zsh, apple("/usr/bin/sudo", "com.apple.sudo"), &["sudo", "env", "nohup", "curl"]);
    let env = mac.spawn(&sudo, apple("/usr/bin/env", "com.apple.env"), &["env", "nohup", "curl"]);
    let nohup = mac.exec(&env, apple("/usr/bin/nohup", "com.apple.nohup"), &["nohup", "curl"]);
    let curl = mac.exec(&nohup, CURL, &["curl"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < apple:com.apple.Terminal");
    assert_eq!(mac.who(&curl).application.as_ref().unwrap().identity.as_str(), "apple:com.apple.Terminal");
    let shell = mac.subject(&zsh);
    assert_eq!(shell, "apple:com.apple.zsh < apple:com.apple.Terminal");
}

#[test]
fn make_is_an_initiator() {
    let mut mac = Mac::new();
    let terminal = mac.open(TERMINAL);
    let zsh = mac.spawn(&terminal, ZSH, &["-zsh"]);
    let make = mac.spawn(&zsh, apple("/usr/bin/make", "com.apple.make"), &["make"]);
    let sh = mac.spawn(&make, SH, &["sh", "-c", "curl x"]);
    let curl = mac.exec(&sh, CURL, &["curl", "x"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < apple:com.apple.make");
}

#[test]
fn git_is_not_the_initiator_of_its_own_pieces() {
    let mut mac = Mac::new();
    let code = mac.open(CODE);
    let shim = mac.spawn(&code, SHIM, &["git", "fetch"]);
    let git = mac.exec(
        &shim,
        apple("/Library/Developer/CommandLineTools/usr/bin/git", "com.apple.git"),
        &["git", "fetch"],
    );
    let remote = mac.spawn(
        &git,
        apple("/Library/Developer/CommandLineTools/usr/libexec/git-core/git", "com.apple.git"),
        &["git", "remote-https"],
    );
    let https = mac.exec(
        &remote,
        apple(
            "/Library/Developer/CommandLineTools/usr/libexec/git-core/git-remote-https",
            "com.apple.git-remote-http",
        ),
        &["git-remote-https"],
    );
    assert_eq!(mac.subject(&https), "apple:com.apple.git-remote-http < UBF8T346G9:com.microsoft.VSCode");
    let ssh = mac.spawn(&git, apple("/usr/bin/ssh", "com.apple.openssh"), &["ssh", "git@example.com"]);
    assert_eq!(mac.subject(&ssh), "apple:com.apple.openssh < apple:com.apple.git");
}

#[test]
fn the_python_shim_and_the_python_stub_are_not_initiators_of_python() {
    let mut mac = Mac::new();
    let osascript = mac.open(OSASCRIPT);
    let sh = mac.spawn(&osascript, SH, &["sh", "-c", "python3 x.py"]);
    let shim = mac.exec_with(
        &sh,
        SHIM,
        With { arguments: &["python3", "x.py"], shown_path: Some("/usr/bin/python3"), ..With::default() },
    );
    assert_eq!(mac.who(&shim).subject.image.as_str(), "path:/usr/bin/python3");
    let stub = mac.exec(
        &shim,
        apple("/Library/Developer/CommandLineTools/usr/bin/python3", "com.apple.python3"),
        &["python3", "x.py"],
    );
    let python = mac.exec(&stub, PYTHON, &[PYTHON.path, "x.py"]);
    assert_eq!(mac.subject(&python), "apple:com.apple.python3 < apple:com.apple.osascript");
    let who = mac.who(&python);
    assert_eq!(&*who.process.script.as_ref().unwrap().name, "/Users/*/x.py");

    let zsh = mac.spawn(&osascript, ZSH, &["zsh", "-c", "python3 x.py"]);
    let stub = mac.exec(
        &zsh,
        unsigned("/opt/homebrew/Cellar/python@3.12/3.12.4/bin/python3.12"),
        &["python3", "x.py"],
    );
    let brewed = mac.exec(
        &stub,
        unsigned("/opt/homebrew/Cellar/python@3.12/3.12.4/Frameworks/Python.framework/Versions/3.12/Resources/Python.app/Contents/MacOS/Python"),
        &["Python", "x.py"],
    );
    assert_eq!(mac.who(&brewed).subject.initiator.as_ref().unwrap().as_str(), "apple:com.apple.osascript");
}

#[test]
fn python_that_runs_curl_is_its_initiator_and_python_that_runs_python_too() {
    let mut mac = Mac::new();
    let terminal = mac.open(TERMINAL);
    let python = mac.spawn(&terminal, PYTHON, &["python3", "x.py"]);
    let sh = mac.spawn(&python, SH, &["sh", "-c", "curl x"]);
    let curl = mac.exec(&sh, CURL, &["curl", "x"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < apple:com.apple.python3");
    let worker = mac.spawn(&python, PYTHON, &["python3", "-c", "from multiprocessing"]);
    assert_eq!(mac.subject(&worker), "apple:com.apple.python3 < apple:com.apple.python3");
}

#[test]
fn a_forked_worker_is_its_parents_subject() {
    let mut mac = Mac::new();
    let terminal = mac.open(TERMINAL);
    let python = mac.spawn(&terminal, PYTHON, &["python3", "x.py"]);
    let worker = mac.fork(&python);
    let grandchild = mac.fork(&worker);
    for task in [&worker, &grandchild] {
        assert_eq!(mac.subject(task), "apple:com.apple.python3 < apple:com.apple.Terminal");
        assert_eq!(mac.who(task).process.key, task.info.key);
        assert_eq!(mac.who(task).ancestors[0].key, python.info.key);
    }
}

#[test]
fn malware_that_becomes_curl_is_seen() {
    let mut mac = Mac::new();
    let terminal = mac.open(TERMINAL);
    let fake = mac.spawn(&terminal, unsigned("/private/tmp/curl"), &["curl"]);
    let curl = mac.exec(&fake, CURL, &["curl", "x"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < path:/tmp/curl");
    let fake = mac.spawn(&terminal, unsigned("/private/tmp/sh"), &["sh"]);
    let curl = mac.spawn(&fake, CURL, &["curl", "x"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < path:/tmp/sh");
    let fake = mac.spawn(&terminal, unsigned("/private/tmp/git"), &["git"]);
    let helper =
        mac.spawn(&fake, apple("/x/git-remote-https", "com.apple.git-remote-http"), &["git-remote-https"]);
    assert_eq!(mac.subject(&helper), "apple:com.apple.git-remote-http < path:/tmp/git");
    let fake = mac.open(unsigned("/private/tmp/.xpcproxy"));
    let curl = mac.spawn(&fake, CURL, &["curl", "x"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < path:/tmp/.xpcproxy");
}

#[test]
fn jobs_of_launchd_are_told_apart_by_their_labels() {
    let mut mac = Mac::new();
    for label in ["com.example.a", "com.example.b"] {
        let direct =
            mac.launch(CURL, With { arguments: &["curl", "x"], environment: &job(label), ..With::default() });
        assert_eq!(mac.subject(&direct), format!("apple:com.apple.curl < launchd:{label}"));
        let bash = mac.launch(
            BASH,
            With {
                arguments: &["bash", "/usr/local/bin/job.sh"],
                environment: &job(label),
                ..With::default()
            },
        );
        assert_eq!(mac.subject(&bash), format!("apple:com.apple.bash < launchd:{label}"));
        let curl = mac.spawn(&bash, CURL, &["curl", "x"]);
        assert_eq!(mac.subject(&curl), format!("apple:com.apple.curl < launchd:{label}"));
        let worker = mac.spawn(&bash, unsigned("/usr/local/bin/worker"), &["worker"]);
        assert_eq!(mac.subject(&worker), format!("path:/usr/local/bin/worker < launchd:{label}"));
        let python = mac.launch(
            PYTHON,
            With { arguments: &["python3", "/x.py"], environment: &job(label), ..With::default() },
        );
        assert_eq!(mac.subject(&python), format!("apple:com.apple.python3 < launchd:{label}"));
        assert!(mac.who(&python).initiator.is_none());
        assert!(mac.who(&python).initiator_known);
    }
}

#[test]
fn a_job_without_a_label_is_its_script_and_else_unknown() {
    let mut mac = Mac::new();
    let bash = mac.launch(
        BASH,
        With { arguments: &["bash", "/Users/ann/bin/job.sh"], environment: &job("0"), ..With::default() },
    );
    let curl = mac.spawn(&bash, CURL, &["curl", "x"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < launchd:/Users/*/bin/job.sh");
    let bash = mac.launch(BASH, With { arguments: &["bash", "-c", "curl x"], ..With::default() });
    let curl = mac.spawn(&bash, CURL, &["curl", "x"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < launchd:unknown");
}

#[test]
fn an_app_whose_executable_is_a_script_is_named_by_its_bundle() {
    let mut mac = Mac::new();
    let app = mac.launch(
        BASH,
        With {
            arguments: &["/bin/bash", "/Applications/Tool.app/Contents/MacOS/Tool"],
            environment: &job("application.com.example.Tool.118.119"),
            script: Some("/Applications/Tool.app/Contents/MacOS/Tool"),
            ..With::default()
        },
    );
    let curl = mac.spawn(&app, CURL, &["curl", "x"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < launchd:application.com.example.Tool");
}

#[test]
fn cron_at_and_ssh_sessions_are_initiators() {
    let mut mac = Mac::new();
    let cron = mac.open(apple("/usr/sbin/cron", "com.apple.cron"));
    let child = mac.fork(&cron);
    let sh = mac.spawn(&child, SH, &["/bin/sh", "-c", "curl x"]);
    let curl = mac.exec(&sh, CURL, &["curl", "x"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < apple:com.apple.cron");

    let atrun = mac.open(apple("/usr/libexec/atrun", "com.apple.atrun"));
    let sh = mac.spawn(&atrun, SH, &["sh"]);
    let curl = mac.spawn(&sh, CURL, &["curl", "x"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < apple:com.apple.atrun");

    let wrapper = mac.open(apple("/usr/libexec/sshd-keygen-wrapper", "com.apple.sshd-keygen-wrapper"));
    let sshd = mac.exec(&wrapper, apple("/usr/sbin/sshd", "com.apple.sshd"), &["sshd", "-i"]);
    assert_eq!(mac.subject(&sshd), "apple:com.apple.sshd");
    let zsh = mac.spawn(&sshd, ZSH, &["-zsh"]);
    let curl = mac.spawn(&zsh, CURL, &["curl", "x"]);
    assert_eq!(mac.subject(&curl), "apple:com.apple.curl < apple:com.apple.sshd");
}

#[test]
fn five_hundred_management_scripts_are_few_subjects() {
    let mut mac = Mac::new();
    let jamf = mac.open(vendor("/usr/local/jamf/bin/jamf", "483DWKW443", "com.jamf.management.Jamf"));
    let mut subjects = std::collections::BTreeSet::new();
    for n in 0..500 {
        let script = format!("/Library/Application Support/JAMF/tmp/policy {n}");
        let sh = mac.spawn(&jamf, SH, &["/bin/sh", &script]);
        subjects.insert(mac.subject(&sh));
        let curl = mac.spawn(&sh, CURL, &["curl", "x"]);
        subjects.insert(mac.subject(&curl));
        let bash = mac.launch(BASH, With { arguments: &["bash", &script], ..With::default() });
        let curl = mac.spawn(&bash, CURL, &["curl", "x"]);
        subjects.insert(mac.subject(&curl));
        mac.exit(&sh);
        mac.pass(1);
    }
    assert_eq!(
        subjects.into_iter().collect::<Vec<_>>(),
        [
            "apple:com.apple.curl < 483DWKW443:com.jamf.management.Jamf",
            "apple:com.apple.curl < launchd:/Library/Application Support/JAMF/tmp/*",
            "apple:com.apple.sh < 483DWKW443:com.jamf.management.Jamf",
        ]
    );
}

#[test]
fn ten_thousand_different_inline_scripts_are_one_subject() {
    let mut mac = Mac::new();
    let terminal = mac.open(TERMINAL);
    let mut subjects = std::collections::BTreeSet::new();
    let mut hashes = std::collections::BTreeSet::new();
    for n in 0..10_000 {
        let code = format!("print({n})");
        let python = mac.spawn(&terminal, PYTHON, &["python3", "-c", &code]);
        let who = mac.who(&python);
        subjects.insert(who.subject.to_string());
        hashes.extend(who.process.script.as_ref().unwrap().sha256.clone());
        mac.exit(&python);
    }
    assert_eq!((subjects.len(), hashes.len()), (1, 10_000));
}
