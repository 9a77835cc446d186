//! How a person names alerts: a file in any form, standard input, or an id to be looked up.

use std::io::{self, Read};
use std::path::Path;

use super::{Code, Failure};
use crate::alert::Alert;

/// The alerts in a file or on standard input (`-`): one document, or one a line.
pub(super) fn read(path: &Path) -> Result<Vec<Alert>, Failure> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes))
    };
    read.map_err(|error| Failure::new(Code::NoInput, format!("cannot read {}: {error}", path.display())))?;
    parse(&String::from_utf8_lossy(&bytes))
        .map_err(|why| Failure::new(Code::BadData, format!("{}: {why}", path.display())))
}

/// The alerts that a name means: those of a file, or those of `stored` whose event or finding has this id.
pub(super) fn find(name: &str, stored: Option<&Path>) -> Result<Vec<Alert>, Failure> {
    let path = Path::new(name);
    if name == "-" || path.exists() {
        return read(path);
    }
    let Some(stored) = stored else {
        let advice = "it is no file, and no file of alerts is named: give `--alerts FILE`, or a sink of the type `file` in the configuration";
        return Err(Failure::new(Code::NoInput, format!("{name}: {advice}")));
    };
    let mut alerts = read(stored)?;
    alerts.retain(|alert| {
        alert.id == name || alert.finding.as_str() == name || alert.fleet_finding.as_str() == name
    });
    if alerts.is_empty() {
        let message = format!("no alert in {} has the id {name}", stored.display());
        return Err(Failure::new(Code::NoInput, message));
    }
    Ok(alerts)
}

/// One document over several lines, or one document a line.
fn parse(text: &str) -> Result<Vec<Alert>, String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let by_line: Result<Vec<Alert>, String> = lines
        .iter()
        .enumerate()
        .map(|(at, line)| {
            Alert::read(line).map_err(|error| format!("line {}: {error}", at.saturating_add(1)))
        })
        .collect();
    match by_line {
        Ok(alerts) if !alerts.is_empty() => Ok(alerts),
        Ok(_) => Err("there is nothing in it".to_owned()),
        Err(error) => Alert::read(text).map(|alert| vec![alert]).map_err(|whole| {
            if lines.len() > 1 && !text.trim_start().starts_with("{\n") { error } else { whole.to_string() }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{Format, samples};

    #[test]
    fn alerts_are_read_by_the_line_and_spread_over_lines() {
        let alert = samples::plain();
        let lines = format!("{}\n\n{}\n", alert.render(Format::Ocsf), alert.render(Format::Native));
        assert_eq!(parse(&lines).unwrap().len(), 2);
        let value: serde_json::Value = serde_json::from_str(&alert.render(Format::Ecs)).unwrap();
        assert_eq!(parse(&serde_json::to_string_pretty(&value).unwrap()).unwrap().len(), 1);
        assert!(parse("{}\n{}").unwrap_err().contains("line 1"));
        assert!(parse("").is_err());
    }
}
