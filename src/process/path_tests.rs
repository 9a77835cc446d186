use proptest::prelude::*;

use super::*;

fn assert_folds(cases: &[(&str, &str)]) {
    for (path, normal) in cases {
        assert_eq!(normalise(path), *normal, "{path}");
    }
}

#[test]
fn homebrew_upgrades_keep_their_path() {
    assert_folds(&[
        ("/opt/homebrew/Cellar/wget/1.24.5/bin/wget", "/opt/homebrew/Cellar/wget/*/bin/wget"),
        ("/usr/local/Cellar/wget/1.25.0_1/bin/wget", "/usr/local/Cellar/wget/*/bin/wget"),
        (
            "/opt/homebrew/Cellar/python@3.12/3.12.4/Frameworks/Python.framework/Versions/3.12/Resources/Python.app/Contents/MacOS/Python",
            "/opt/homebrew/Cellar/python@3.12/*/Frameworks/Python.framework/Versions/*/Resources/Python.app/Contents/MacOS/Python",
        ),
        ("/opt/homebrew/Caskroom/ngrok/3.10.0,abc/ngrok", "/opt/homebrew/Caskroom/ngrok/*/ngrok"),
        ("/opt/homebrew/bin/brew", "/opt/homebrew/bin/brew"),
    ]);
}

#[test]
fn forty_users_are_one() {
    let paths: std::collections::BTreeSet<String> =
        (0..40).map(|n| normalise(&format!("/Users/student{n}/bin/upload"))).collect();
    assert_eq!(paths.into_iter().collect::<Vec<_>>(), ["/Users/*/bin/upload"]);
    assert_folds(&[
        ("/Users/Shared/tool", "/Users/Shared/tool"),
        ("/System/Volumes/Data/Users/ann/tool", "/Users/*/tool"),
        ("/Volumes/Backup of Ann/Users/ann/tool", "/Volumes/*/Users/*/tool"),
        ("/Volumes/Tool 1.2/Tool.app/Contents/MacOS/Tool", "/Volumes/*/Tool.app/Contents/MacOS/Tool"),
    ]);
}

#[test]
fn second_names_of_a_place_are_one() {
    assert_folds(&[
        (
            "/System/Volumes/Preboot/Cryptexes/App/System/Applications/Safari.app/Contents/MacOS/Safari",
            "/System/Applications/Safari.app/Contents/MacOS/Safari",
        ),
        ("/System/Cryptexes/OS/usr/libexec/x", "/usr/libexec/x"),
        ("/private/preboot/Cryptexes/OS/usr/libexec/x", "/usr/libexec/x"),
        ("/private/var/db/x", "/var/db/x"),
        ("/private/tmp/x", "/tmp/x"),
        ("/private/etc/x", "/etc/x"),
        ("/usr//local/./lib/../bin/x", "/usr/local/bin/x"),
    ]);
}

#[test]
fn translocated_apps_are_one_wherever_they_run() {
    assert_folds(&[(
        "/private/var/folders/q4/8zz1h_5x6m9gn/T/AppTranslocation/3F2504E0-4F89-11D3-9A0C-0305E82C3301/d/Foo.app/Contents/MacOS/Foo",
        "/AppTranslocation/Foo.app/Contents/MacOS/Foo",
    )]);
}

#[test]
fn temporary_folders_keep_only_the_program() {
    assert_folds(&[
        ("/var/folders/q4/8zz1h_5x6m9gn/T/com.foo.bar/x9/helper", "/var/folders/*/T/*/helper"),
        ("/private/var/folders/q4/8zz1h_5x6m9gn/C/helper", "/var/folders/*/C/helper"),
        ("/var/folders/q4/8zz1h_5x6m9gn/0/d/helper", "/var/folders/*/*/helper"),
        ("/private/tmp/implant", "/tmp/implant"),
        ("/tmp/build.a8f/stage/implant", "/tmp/*/implant"),
        ("/tmp/tmp.Ab3xQzPpLm", "/tmp/*"),
        ("/tmp/tmpa_bq7xk0", "/tmp/*"),
        ("/private/tmp/PKInstallSandbox.x1Yz9A/Scripts/com.foo.pkg.Qw3rTy/postinstall", "/tmp/*/postinstall"),
        ("/private/tmp/munki-a7qk2n/script", "/tmp/*/script"),
    ]);
}

#[test]
fn four_hundred_fresh_build_outputs_are_few() {
    let mut images = std::collections::BTreeSet::new();
    for n in 0..400_u64 {
        let hash = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let letters: String =
            (0..28).map(|i| char::from(b'a' + (hash.rotate_left(i * 5) % 26) as u8)).collect();
        for path in [
            format!("/Users/ann/src/app{}/target/debug/deps/unit_{n}-{hash:016x}", n % 9),
            format!(
                "/Users/ann/src/app/target/aarch64-apple-darwin/release/build/openssl-{hash:016x}/build-script-build"
            ),
            format!("/private/var/folders/q4/8zz1h_5x6m9gn/T/go-build{hash}/b001/exe/server{n}"),
            format!(
                "/Users/ann/Library/Developer/Xcode/DerivedData/App-{letters}/Build/Products/Debug/App.app/Contents/MacOS/App"
            ),
            format!("/Users/ann/src/pkg{n}/.build/arm64-apple-macosx/debug/Server"),
            format!("/private/tmp/nix-build-{n}/out/check"),
            format!("/Users/ann/src/web{n}/node_modules/.bin/esbuild"),
        ] {
            images.insert(normalise(&path));
        }
    }
    assert_eq!(images.len(), 7, "{images:#?}");
}

#[test]
fn programs_of_a_project_stay_apart() {
    assert_folds(&[
        ("/Users/ann/src/app/target/release/server", "/Users/*/*/target/release/server"),
        (
            "/Users/ann/src/app/target/debug/examples/client-00112233445566aa",
            "/Users/*/*/target/debug/examples/client-*",
        ),
        (
            "/Users/ann/web/node_modules/@esbuild/darwin-arm64/bin/esbuild",
            "/Users/*/*/node_modules/@esbuild/darwin-arm64/bin/esbuild",
        ),
        (
            "/Users/ann/web/node_modules/.pnpm/esbuild@0.19.2/node_modules/esbuild/bin/esbuild",
            "/Users/*/*/node_modules/esbuild/bin/esbuild",
        ),
    ]);
}

#[test]
fn version_managers_and_environments_keep_the_program() {
    assert_folds(&[
        ("/Users/ann/.nvm/versions/node/v18.1.0/bin/node", "/Users/*/.nvm/versions/*/*/bin/node"),
        ("/Users/ann/.pyenv/versions/3.11.7/bin/python3.11", "/Users/*/.pyenv/versions/*/bin/python3.11"),
        ("/Users/ann/.rbenv/versions/jruby-9.4/bin/ruby", "/Users/*/.rbenv/versions/*/bin/ruby"),
        (
            "/Users/ann/.asdf/installs/python/3.12.1/bin/python3",
            "/Users/*/.asdf/installs/python/*/bin/python3",
        ),
        (
            "/Users/ann/.local/share/mise/installs/node/20/bin/node",
            "/Users/*/.local/share/mise/installs/node/*/bin/node",
        ),
        ("/Users/ann/p/.venv/bin/python3", "/Users/*/*/.venv/bin/python3"),
        ("/Users/ann/.virtualenvs/data/bin/python", "/Users/*/.virtualenvs/*/bin/python"),
        ("/Users/ann/miniconda3/envs/ml/bin/python3.11", "/Users/*/miniconda3/envs/*/bin/python3.11"),
        (
            "/Users/ann/.rustup/toolchains/stable-aarch64-apple-darwin/bin/cargo",
            "/Users/*/.rustup/toolchains/*/bin/cargo",
        ),
        (
            "/Users/ann/.sdkman/candidates/java/21.0.2-tem/bin/java",
            "/Users/*/.sdkman/candidates/java/*/bin/java",
        ),
        (
            "/Library/Java/JavaVirtualMachines/temurin-21.jdk/Contents/Home/bin/java",
            "/Library/Java/JavaVirtualMachines/*/Contents/Home/bin/java",
        ),
        (
            "/Users/ann/.vscode/extensions/rust-lang.rust-analyzer-0.3.1-darwin-arm64/server/rust-analyzer",
            "/Users/*/.vscode/extensions/rust-lang.rust-analyzer-*-darwin-arm64/server/rust-analyzer",
        ),
    ]);
}

#[test]
fn frameworks_and_apps_keep_their_path_through_updates() {
    assert_folds(&[
        (
            "/Applications/X.app/Contents/Frameworks/X Framework.framework/Versions/126.0.1/Helpers/X Helper.app/Contents/MacOS/X Helper",
            "/Applications/X.app/Contents/Frameworks/X Framework.framework/Versions/*/Helpers/X Helper.app/Contents/MacOS/X Helper",
        ),
        (
            "/Users/ann/Library/Developer/CoreSimulator/Devices/3F2504E0-4F89-11D3-9A0C-0305E82C3301/data/App.app/App",
            "/Users/*/Library/Developer/CoreSimulator/Devices/*/data/App.app/App",
        ),
    ]);
}

#[test]
fn five_hundred_scripts_of_a_fleet_are_few() {
    let mut scripts = std::collections::BTreeSet::new();
    for n in 0..500 {
        for path in [
            format!("/Library/Application Support/JAMF/tmp/Install printer {n}"),
            format!("/Library/Application Support/Microsoft/Intune/SideCar/Scripts/{n}/run.sh"),
            format!("/Library/Kandji/Kandji Agent.app/Contents/tmp/{n}-audit"),
            format!("/Library/Managed Installs/Cache/item{n}.sh"),
            format!("/private/tmp/PKInstallSandbox.a{n:05}/Scripts/postinstall"),
        ] {
            scripts.insert(normalise(&path));
        }
    }
    assert_eq!(scripts.len(), 5, "{scripts:#?}");
    assert_eq!(normalise("/usr/local/jamf/bin/jamf"), "/usr/local/jamf/bin/jamf");
}

#[test]
fn places_where_a_user_writes() {
    for path in [
        "/Users/ann/x",
        "/private/tmp/x",
        "/opt/homebrew/bin/x",
        "/Volumes/USB/x",
        "x",
        "/Applications/X.app/Contents/MacOS/X",
    ] {
        assert!(is_user_writable(&normalise(path)), "{path}");
    }
    for path in [
        "/usr/bin/x",
        "/usr/libexec/x",
        "/Library/Application Support/x",
        "/System/Applications/X.app/x",
        "/tmpfile",
    ] {
        assert!(!is_user_writable(&normalise(path)), "{path}");
    }
}

proptest! {
    #[test]
    fn normalising_twice_changes_nothing(
        parts in proptest::collection::vec(
            prop_oneof![
                proptest::sample::select(vec![
                    "private", "var", "tmp", "folders", "T", "C", "*", "Users", "Shared", "Volumes", "System", "Cryptexes", "Preboot", "Data",
                    "AppTranslocation", "d", "Foo.app", "Contents", "MacOS", "Cellar", "wget", "1.24.5", "Versions", "versions", "target", "debug",
                    "release", "deps", "build", ".build", "arm64-apple-macosx", "node_modules", ".bin", ".venv", "env", "bin", "go-build123",
                    "DerivedData", "App-abcdefghijklmnopqrstuvwxyzab", "JAMF", "scripts", "installs", "envs", "..", "", ".", "x-1.2.3",
                    "tmp.Ab3xQzPpLm", "a8Xk2Q", "name-0123456789abcdef", "3F2504E0-4F89-11D3-9A0C-0305E82C3301", "python@3.12", "preboot",
                ]).prop_map(str::to_owned),
                "[a-zA-Z0-9@_. *-]{0,24}",
                "\\PC{0,8}",
            ],
            0..10,
        ),
        absolute in any::<bool>(),
    ) {
        let path = format!("{}{}", if absolute { "/" } else { "" }, parts.join("/"));
        let once = normalise(&path);
        prop_assert_eq!(normalise(&once), once);
    }
}
