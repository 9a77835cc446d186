use std::collections::BTreeSet;
use std::path::Path;

use plist::{Dictionary, Value};
use proptest::prelude::*;
use toml::Table;

use super::*;
use crate::config::{Config, Layers};

/// What Apple's published schema says of one key: `apple/device-management`, `mdm/profiles`, at 39e2a82.
struct Key {
    name: &'static str,
    kind: Kind,
    required: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    /// A text of these.
    OneOf(&'static [&'static str]),
    Bool,
    Integer(&'static [i64]),
    List(&'static [Key]),
    Dict(&'static [Key]),
    /// A dictionary whose keys are free.
    Any(&'static [Key]),
}

const fn must(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, required: true }
}

const fn may(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, required: false }
}

/// `CommonPayloadKeys.yaml`.
const COMMON: &[Key] = &[
    must("PayloadIdentifier", Kind::Text),
    must("PayloadUUID", Kind::Text),
    must("PayloadType", Kind::Text),
    must("PayloadVersion", Kind::Integer(&[1])),
    may("PayloadDescription", Kind::Text),
    may("PayloadDisplayName", Kind::Text),
    may("PayloadOrganization", Kind::Text),
];

/// `TopLevel.yaml`, without what is of iOS or of encrypted profiles.
const TOP: &[Key] = &[
    must("PayloadContent", Kind::List(&[])),
    may("PayloadScope", Kind::OneOf(&["System", "User"])),
    may("PayloadRemovalDisallowed", Kind::Bool),
    may("TargetDeviceType", Kind::Integer(&[0, 1, 2, 3, 4, 5])),
];

/// `com.apple.TCC.configuration-profile-policy.yaml`; `Allowed` and `Authorization` exclude each other.
const TCC: &[Key] = &[must(
    "Services",
    Kind::Dict(&[may(
        "SystemPolicyAllFiles",
        Kind::List(&[
            must("Identifier", Kind::Text),
            must("IdentifierType", Kind::OneOf(&["bundleID", "path"])),
            must("CodeRequirement", Kind::Text),
            may("StaticCode", Kind::Bool),
            must("Allowed", Kind::Bool),
            may("Comment", Kind::Text),
        ]),
    )]),
)];

/// `com.apple.servicemanagement.yaml`.
const SERVICE: &[Key] = &[must(
    "Rules",
    Kind::List(&[
        must(
            "RuleType",
            Kind::OneOf(&[
                "BundleIdentifier",
                "BundleIdentifierPrefix",
                "Label",
                "LabelPrefix",
                "TeamIdentifier",
            ]),
        ),
        must("RuleValue", Kind::Text),
        may("Comment", Kind::Text),
        may("TeamIdentifier", Kind::Text),
    ]),
)];

/// `com.apple.ManagedClient.preferences.yaml`.
const PREFERENCES: &[Key] = &[must(
    "PayloadContent",
    Kind::Any(&[may("Forced", Kind::List(&[must("mcx_preference_settings", Kind::Any(&[]))]))]),
)];

fn check(dictionary: &Dictionary, rules: &[&[Key]], at: &str) {
    for key in rules.iter().copied().flatten() {
        match dictionary.get(key.name) {
            Some(value) => check_value(value, key.kind, &format!("{at}.{}", key.name)),
            None => assert!(!key.required, "{at} has no {}", key.name),
        }
    }
    let known: BTreeSet<_> = rules.iter().copied().flatten().map(|key| key.name).collect();
    let unknown: Vec<_> = dictionary.keys().filter(|key| !known.contains(key.as_str())).collect();
    assert!(unknown.is_empty(), "{at} has keys that Apple does not know: {unknown:?}");
}

fn check_value(value: &Value, kind: Kind, at: &str) {
    match (kind, value) {
        (Kind::Text, Value::String(_)) | (Kind::Bool, Value::Boolean(_)) => {}
        (Kind::OneOf(allowed), Value::String(text)) => {
            assert!(allowed.contains(&text.as_str()), "{at}: {text}");
        }
        (Kind::Integer(allowed), Value::Integer(number)) => {
            assert!(allowed.contains(&number.as_signed().unwrap()), "{at}: {number}");
        }
        (Kind::List(rules), Value::Array(items)) => {
            assert!(!items.is_empty(), "{at} is empty");
            for item in items.iter().filter(|_| !rules.is_empty()) {
                check(item.as_dictionary().unwrap(), &[rules], at);
            }
        }
        (Kind::Dict(rules), Value::Dictionary(members)) => check(members, &[rules], at),
        (Kind::Any(rules), Value::Dictionary(members)) => {
            for (key, member) in members.iter().filter(|_| !rules.is_empty()) {
                check(member.as_dictionary().unwrap(), &[rules], &format!("{at}.{key}"));
            }
        }
        (_, other) => panic!("{at} has the wrong type: {other:?}"),
    }
}

fn profile(settings: Option<Table>) -> Profile {
    Profile {
        team: "A1B2C3D4E5".parse().unwrap(),
        bundle: BUNDLE_ID.parse().unwrap(),
        organization: Some("Example & Söhne".to_owned()),
        settings,
    }
}

/// As it is on the disk, read back.
fn written(profile: &Profile) -> Dictionary {
    let mut bytes = Vec::new();
    profile.write(&mut bytes).unwrap();
    assert!(bytes.starts_with(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC"));
    plist::from_bytes::<Value>(&bytes).unwrap().into_dictionary().unwrap()
}

fn payloads(profile: &Dictionary) -> Vec<&Dictionary> {
    profile["PayloadContent"].as_array().unwrap().iter().map(|p| p.as_dictionary().unwrap()).collect()
}

#[test]
fn a_profile_has_the_keys_types_and_values_of_apples_schema() {
    let settings: Table = toml::from_str("[detection]\nlearn_days = 14").unwrap();
    let document = written(&profile(Some(settings)));
    check(&document, &[COMMON, TOP], "profile");
    assert_eq!(document["PayloadType"].as_string(), Some("Configuration"));
    assert_eq!(document["PayloadScope"].as_string(), Some("System"));
    let payloads = payloads(&document);
    let kinds: Vec<_> = payloads.iter().map(|payload| payload["PayloadType"].as_string().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "com.apple.TCC.configuration-profile-policy",
            "com.apple.servicemanagement",
            "com.apple.ManagedClient.preferences"
        ]
    );
    for (payload, rules) in payloads.into_iter().zip([TCC, SERVICE, PREFERENCES]) {
        check(payload, &[COMMON, rules], payload["PayloadType"].as_string().unwrap());
    }
}

#[test]
#[should_panic(expected = "keys that Apple does not know")]
fn the_check_refuses_a_key_that_apple_does_not_know() {
    let mut document = written(&profile(None));
    document.insert("PayloadRemovalDisalowed".to_owned(), Value::Boolean(true));
    check(&document, &[COMMON, TOP], "profile");
}

#[test]
fn identifiers_and_uuids_are_unique_and_the_same_each_time() {
    let document = written(&profile(Some(Table::new())));
    assert_eq!(document, written(&profile(Some(Table::new()))));
    for key in ["PayloadUUID", "PayloadIdentifier"] {
        let mut values: Vec<_> = payloads(&document).into_iter().map(|p| p[key].as_string()).collect();
        values.push(document[key].as_string());
        let unique: BTreeSet<_> = values.iter().collect();
        assert_eq!(unique.len(), values.len(), "{key}: {values:?}");
    }
    let text = document["PayloadUUID"].as_string().unwrap();
    let uuid = uuid::Uuid::parse_str(text).unwrap();
    assert_eq!(uuid.get_version(), Some(uuid::Version::Custom));
    assert_eq!(text, text.to_uppercase());
    let other = Profile { team: "Z1B2C3D4E5".parse().unwrap(), ..profile(None) };
    assert_ne!(written(&other)["PayloadUUID"], document["PayloadUUID"]);
}

#[test]
fn the_grant_is_bound_to_team_and_bundle_and_to_no_version() {
    let requirement = profile(None).code_requirement();
    assert!(requirement.starts_with("identifier \"com.tidemark.daemon\" and anchor apple generic"));
    assert!(requirement.ends_with("certificate leaf[subject.OU] = \"A1B2C3D4E5\""));
    assert!(!requirement.contains("cdhash"));
}

#[test]
fn an_identifier_that_would_change_the_requirement_is_refused() {
    for wrong in ["", "ABCDE1234", "abcde12345", "ABCDE12345\"", "ABCDE 2345", "ÄBCDE1234"] {
        assert!(wrong.parse::<TeamId>().is_err(), "{wrong:?}");
    }
    for wrong in ["", "tidemark", "com..x", "com.x\" or anchor apple", ".com", "com.x.", "com.x_y"] {
        assert!(wrong.parse::<BundleId>().is_err(), "{wrong:?}");
    }
}

#[test]
fn settings_and_exceptions_in_a_profile_are_what_the_daemon_reads_on_the_mac() {
    let text = "[detection]\nlearn_days = 14\n[[delivery.sink]]\ntype = 'syslog'\nname = 's'\naddress = 'h:6514'\n\
        [[exception]]\nid = 'E-1'\nowner = 'a@example.com'\nreason = 'because'\ncreated = 2026-06-01\nexpires = 2026-12-31\n\
        match.image = 'apple:com.apple.curl'\n";
    let document = written(&profile(Some(toml::from_str(text).unwrap())));
    let payloads = payloads(&document);
    let domains = payloads[2]["PayloadContent"].as_dictionary().unwrap();
    let forced = domains[BUNDLE_ID].as_dictionary().unwrap()["Forced"].as_array().unwrap();
    let settings = &forced[0].as_dictionary().unwrap()["mcx_preference_settings"];
    // macOS writes the domain's file as a binary property list.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("com.tidemark.daemon.plist");
    settings.to_file_binary(&path).unwrap();
    let config = Layers { managed: Some(path), ..Layers::default() }.load().unwrap().config;
    assert_eq!(config.detection.learn_days, 14);
    assert_eq!(config.delivery.sinks[0].name(), "s");
    let exceptions = config.exceptions.load().unwrap();
    assert_eq!(exceptions.iter().map(|exception| exception.id.as_str()).collect::<Vec<_>>(), ["E-1"]);
}

fn managed(members: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><plist version=\"1.0\"><dict>{members}</dict></plist>")
}

/// A file and managed preferences, read together.
fn layered(file: &str, members: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let (config, plist) = (folder.path().join("tidemark.toml"), folder.path().join("managed.plist"));
    std::fs::write(&config, file).unwrap();
    std::fs::write(&plist, managed(members)).unwrap();
    let layers = Layers { file: Some(config), managed: Some(plist), ..Layers::default() };
    layers.load().map(|effective| effective.config).map_err(|error| error.to_string())
}

#[test]
fn what_the_mdm_sets_stands_above_the_file_and_the_rest_stays() {
    let config = layered(
        "[detection]\nlearn_days = 3\nbytes_in = true\n[[delivery.sink]]\ntype = 'stdout'\nname = 'local'",
        "<key>detection</key><dict><key>learn_days</key><integer>14</integer></dict><key>PayloadUUID</key><string>X</string>",
    )
    .unwrap();
    assert_eq!((config.detection.learn_days, config.detection.bytes_in), (14, true));
    assert_eq!(config.delivery.sinks[0].name(), "local");
}

#[test]
fn a_budget_that_the_mdm_sets_is_not_outdone_by_the_files_fleet() {
    let config = layered(
        "[detection]\nfleet = { fleet_size = 10, alerts_per_fleet_per_day = 10.0 }",
        "<key>detection</key><dict><key>alerts_per_mac_per_day</key><real>0.01</real></dict>",
    )
    .unwrap();
    assert!((config.detection.budget() - 0.01).abs() < 1e-12);
}

#[test]
fn a_misspelt_key_that_the_mdm_ships_is_named_with_its_file() {
    let error =
        layered("", "<key>detection</key><dict><key>lern_days</key><integer>1</integer></dict>").unwrap_err();
    assert!(error.contains("managed.plist") && error.contains("lern_days"), "{error}");
    assert!(layered("", "<key>detektion</key><dict/>").unwrap_err().contains("detektion"));
    let error = layered("", "<key>detection</key><data>AAAA</data>").unwrap_err();
    assert!(error.contains("`detection` holds bytes"), "{error}");
}

#[test]
fn a_mistake_in_the_file_is_not_hidden_by_the_mdm() {
    let error = layered(
        "[detection]\nlearn_days = 'x'",
        "<key>detection</key><dict><key>learn_days</key><integer>1</integer></dict>",
    )
    .unwrap_err();
    assert!(error.contains("tidemark.toml:2"), "{error}");
}

#[test]
fn a_mac_without_managed_preferences_has_its_file() {
    assert_eq!(Preferences::read(Path::new("/nowhere/com.tidemark.daemon.plist")).unwrap(), None);
    assert!(Preferences::parse(b"bplist00").unwrap_err().contains("no property list"));
    assert!(Preferences::parse(managed("").replace("dict", "array").as_bytes()).is_err());
}

/// Every key that the file lists, with what it is set to there, as JSON.
fn listed_settings() -> serde_json::Value {
    let text: String = include_str!("../../config/tidemark.toml")
        .lines()
        .map(|line| {
            line.strip_prefix("# ").filter(|l| l.contains(" = ") || l.starts_with("[[")).unwrap_or(line)
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    serde_json::to_value(toml::from_str::<Table>(&text).unwrap()).unwrap()
}

#[test]
fn the_jamf_schema_takes_every_setting_and_nothing_else() {
    let schema = jamf_schema().unwrap();
    let validator = jsonschema::draft4::new(&schema).unwrap();
    let mut settings = listed_settings();
    if let Err(error) = validator.validate(&settings) {
        panic!("{error} at {}", error.instance_path());
    }
    settings["detection"]["lern_days"] = 1.into();
    assert!(!validator.is_valid(&settings));
}

#[test]
fn the_jamf_schema_has_the_keys_that_the_program_reads() {
    let schema = jamf_schema().unwrap();
    for section in ["detection", "exceptions", "delivery"] {
        // The error for an unknown key lists the known ones.
        let error = Config::parse(&format!("[{section}]\nnot_a_key = 1")).unwrap_err().to_string();
        let expected = error.split("expected").nth(1).unwrap();
        let known: BTreeSet<&str> = expected.split('`').skip(1).step_by(2).collect();
        let properties = schema["properties"][section]["properties"].as_object().unwrap();
        assert_eq!(properties.keys().map(String::as_str).collect::<BTreeSet<_>>(), known, "{section}");
    }
}

#[test]
fn the_jamf_schema_explains_each_setting_and_states_its_default() {
    let schema = jamf_schema().unwrap();
    let learn = &schema["properties"]["detection"]["properties"]["learn_days"];
    assert_eq!((&learn["default"], &learn["type"]), (&7.into(), &"integer".into()));
    assert!(learn["description"].as_str().unwrap().contains("observed"), "{learn}");
    let kinds =
        &schema["properties"]["delivery"]["properties"]["sink"]["items"]["properties"]["type"]["enum"];
    assert_eq!(kinds, &serde_json::json!(["file", "hec", "elastic", "webhook", "syslog"]));
    let sections = schema["properties"].as_object().unwrap();
    let sink = &schema["properties"]["delivery"]["properties"]["sink"]["items"];
    for (name, section) in
        sections.iter().map(|(name, section)| (name.as_str(), section)).chain([("sink", sink)])
    {
        for (key, property) in section["properties"].as_object().unwrap() {
            assert!(!property["description"].as_str().unwrap().is_empty(), "{name}.{key}");
            assert!(property["property_order"].is_u64(), "{name}.{key}");
        }
    }
}

/// TOML without dates, which come back as text.
fn value() -> impl Strategy<Value = toml::Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(toml::Value::Boolean),
        any::<i64>().prop_map(toml::Value::Integer),
        (-1e9..1e9_f64).prop_map(toml::Value::Float),
        "[ -~é]{0,12}".prop_map(toml::Value::String),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(toml::Value::Array),
            table(inner).prop_map(toml::Value::Table),
        ]
    })
}

fn table(value: impl Strategy<Value = toml::Value>) -> impl Strategy<Value = Table> {
    prop::collection::btree_map("[a-c]{1,2}", value, 0..4).prop_map(|map| map.into_iter().collect())
}

proptest! {
    #[test]
    fn settings_survive_the_way_through_a_property_list(settings in table(value())) {
        let mut bytes = Vec::new();
        Value::Dictionary(document::dictionary(&settings)).to_writer_binary(&mut bytes).unwrap();
        prop_assert_eq!(Preferences::parse(&bytes).unwrap().settings, settings);
    }

    #[test]
    fn bytes_that_are_no_preferences_are_refused_in_words(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(why) = Preferences::parse(&bytes) {
            prop_assert!(!why.is_empty());
        }
    }
}
