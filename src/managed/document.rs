//! The same value as TOML and as a property list.

/// A TOML value as a property list. A date becomes text, as which it is read back: TOML knows dates without a time, property lists do
/// not.
pub(super) fn from_toml(value: &toml::Value) -> plist::Value {
    match value {
        toml::Value::String(text) => plist::Value::String(text.clone()),
        toml::Value::Integer(number) => plist::Value::Integer((*number).into()),
        toml::Value::Float(number) => plist::Value::Real(*number),
        toml::Value::Boolean(value) => plist::Value::Boolean(*value),
        toml::Value::Datetime(date) => plist::Value::String(date.to_string()),
        toml::Value::Array(items) => plist::Value::Array(items.iter().map(from_toml).collect()),
        toml::Value::Table(table) => plist::Value::Dictionary(dictionary(table)),
    }
}

/// A TOML table as a dictionary, in the order of its keys.
pub(super) fn dictionary(table: &toml::Table) -> plist::Dictionary {
    table.iter().map(|(key, value)| (key.clone(), from_toml(value))).collect()
}

/// A property list as TOML.
///
/// # Errors
/// Names what TOML has no word for: bytes, a number beyond 64 bits, nesting deeper than [`MOST_DEPTH`].
pub(super) fn to_toml(value: plist::Value) -> Result<toml::Value, &'static str> {
    bounded(value, MOST_DEPTH)
}

fn bounded(value: plist::Value, depth: u8) -> Result<toml::Value, &'static str> {
    let depth = depth.checked_sub(1).ok_or("nested too deeply")?;
    Ok(match value {
        plist::Value::String(text) => toml::Value::String(text),
        plist::Value::Boolean(value) => toml::Value::Boolean(value),
        plist::Value::Integer(number) => {
            toml::Value::Integer(number.as_signed().ok_or("a number out of range")?)
        }
        plist::Value::Real(number) => toml::Value::Float(number),
        plist::Value::Date(date) => toml::Value::String(date.to_xml_format()),
        plist::Value::Array(items) => {
            toml::Value::Array(items.into_iter().map(|item| bounded(item, depth)).collect::<Result<_, _>>()?)
        }
        plist::Value::Dictionary(members) => toml::Value::Table(
            members
                .into_iter()
                .map(|(key, value)| bounded(value, depth).map(|value| (key, value)))
                .collect::<Result<_, _>>()?,
        ),
        plist::Value::Data(_) => return Err("bytes"),
        _ => return Err("a value of another kind"),
    })
}

/// The settings need 5: document, `delivery`, `sink`, one sink, `tls`.
const MOST_DEPTH: u8 = 16;
