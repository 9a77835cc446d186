//! `tidemark top`: the daemon on a screen.

use std::time::Duration;

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Borders, Paragraph, Row, Table};
use serde_json::Value;

use super::status::{DaemonPlace, Told, duration, failure};
use super::{Code, Failure};
use crate::alert::bytes_in_words;
use crate::daemon::Request;

/// Shows the daemon on a screen that is drawn anew every second: the subjects that alerted and those that send most, protocols, what is seen and lost,
/// how delivery stands. `q` ends it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    daemon: DaemonPlace,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut client = args.daemon.connect()?;
    // Before the screen is taken: an error is for the ordinary one.
    let mut status = ask(&mut client)?;
    let mut terminal = ratatui::try_init()
        .map_err(|error| Failure::new(Code::Io, format!("the screen cannot be used: {error}")))?;
    let done = loop {
        if let Err(error) = terminal.draw(|frame| draw(frame, &status)) {
            break Err(error.into());
        }
        match is_over() {
            Ok(true) => break Ok(()),
            Ok(false) => {}
            Err(error) => break Err(error.into()),
        }
        match ask(&mut client) {
            Ok(now) => status = now,
            Err(failure) => break Err(failure),
        }
    };
    ratatui::restore();
    done
}

fn ask(client: &mut crate::daemon::Client) -> Result<Told, Failure> {
    client.ask(Request::Status { subjects: SUBJECTS }).map(Told).map_err(|error| failure(&error))
}

/// Waits until it is time to draw again; whether somebody wants to leave.
fn is_over() -> std::io::Result<bool> {
    if !event::poll(REFRESH)? {
        return Ok(false);
    }
    Ok(match event::read()? {
        Event::Key(key) => {
            let interrupted = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
            interrupted || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
        }
        _ => false,
    })
}

fn draw(frame: &mut Frame<'_>, status: &Told) {
    let reasons: Vec<&str> = status.list("/reasons").iter().filter_map(Value::as_str).collect();
    let below = u16::try_from(reasons.len()).unwrap_or(u16::MAX).min(MOST_REASONS);
    let rows = [Constraint::Length(4), Constraint::Min(6), Constraint::Length(8), Constraint::Length(below)];
    let [head, subjects, panels, look] = Layout::vertical(rows).areas(frame.area());
    draw_head(frame, head, status);
    draw_subjects(frame, subjects, status);
    let thirds = [Constraint::Fill(1), Constraint::Fill(2), Constraint::Fill(2)];
    let [protocols, seen, delivery] = Layout::horizontal(thirds).areas(panels);
    draw_protocols(frame, protocols, status);
    draw_seen(frame, seen, status);
    draw_delivery(frame, delivery, status);
    let lines: Vec<Line<'_>> = reasons.iter().map(|reason| Line::from(format!("! {reason}"))).collect();
    frame.render_widget(Paragraph::new(lines).style(Style::new().add_modifier(Modifier::BOLD)), look);
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, status: &Told) {
    let cpu =
        status.fraction("/usage/cpu_seconds") / (status.number("/uptime_seconds").max(1) as f64) * 100.0;
    let lines = [
        format!(
            "tidemark {} on {}   up {}   {cpu:.1} % cpu   {}",
            status.text("/version"),
            status.text("/host"),
            duration(status.number("/uptime_seconds")),
            bytes_in_words(status.number("/usage/resident_bytes")),
        ),
        status.text("/sources/rung").to_owned(),
        format!(
            "{}: {} subjects, {} live flows, {} findings ({} open, {} accepted)",
            status.text("/engine/baselines/state"),
            status.number("/engine/baselines/subjects"),
            status.number("/engine/live_flows"),
            status.number("/engine/alerts"),
            status.number("/engine/open_findings"),
            status.number("/engine/suppressed"),
        ),
    ];
    frame.render_widget(Paragraph::new(lines.into_iter().collect::<Text<'_>>()), area);
}

fn draw_subjects(frame: &mut Frame<'_>, area: Rect, status: &Told) {
    let rows = status.list("/engine/busiest").iter().map(|busy| {
        let busy = Told(busy.clone());
        let score = match busy.0.get("score").and_then(Value::as_f64) {
            Some(score) => format!("{score:.1}"),
            None => String::new(),
        };
        let protocols: Vec<&str> = busy.list("/protocols").iter().filter_map(Value::as_str).collect();
        let style = if score.is_empty() { Style::new() } else { Style::new().add_modifier(Modifier::BOLD) };
        let cells = [
            score.clone(),
            bytes_in_words(busy.number("/day_bytes_out")),
            busy.number("/day_flows").to_string(),
            busy.text("/subject/image").to_owned(),
            busy.text("/subject/initiator").to_owned(),
            protocols.join(" "),
        ];
        Row::new(cells).style(style)
    });
    let widths = [
        Constraint::Length(5),
        Constraint::Length(9),
        Constraint::Length(6),
        Constraint::Fill(3),
        Constraint::Fill(3),
        Constraint::Fill(2),
    ];
    let header = Row::new(["score", "sent", "flows", "image", "initiator", "protocols"])
        .style(Style::new().add_modifier(Modifier::REVERSED));
    let block = Block::new().borders(Borders::TOP).title(" subjects of the last day ");
    frame.render_widget(Table::new(rows, widths).header(header).block(block), area);
}

fn draw_protocols(frame: &mut Frame<'_>, area: Rect, status: &Told) {
    let mut protocols: Vec<(u64, &String)> = status
        .members("/engine/protocols")
        .map(|(name, flows)| (flows.as_u64().unwrap_or(0), name))
        .collect();
    protocols.sort_unstable_by(|(a, name_a), (b, name_b)| b.cmp(a).then(name_a.cmp(name_b)));
    let lines = protocols.iter().map(|(flows, name)| format!("{flows:>9} {name}"));
    panel(frame, area, " flows by protocol ", lines);
}

fn draw_seen(frame: &mut Frame<'_>, area: Rect, status: &Told) {
    let bytes = "/engine/coverage/bytes";
    let share = |part| status.percent(bytes, part);
    let gaps = status.members("/engine/coverage/gaps").map(|(source, lost)| {
        format!("lost by {source}: {}", lost.get("lost").and_then(Value::as_u64).unwrap_or(0))
    });
    let lines = [
        format!("{} execs", status.number("/engine/coverage/seen/execs")),
        format!("{} flow reports", status.number("/engine/coverage/seen/flow_reports")),
        format!("{} packets", status.number("/engine/coverage/seen/packets")),
        format!("{:.0} % of bytes with a process", share("attributed")),
        format!("{:.0} % of bytes told by payload", share("by_payload")),
    ];
    panel(frame, area, " seen ", lines.into_iter().chain(gaps));
}

fn draw_delivery(frame: &mut Frame<'_>, area: Rect, status: &Told) {
    let queues = status.members("/spool/queues").map(|(name, queue)| {
        format!("{name}: {} wait", queue.get("waiting").and_then(Value::as_u64).unwrap_or(0))
    });
    let sinks = status.list("/sinks").iter().map(|sink| {
        let sink = Told(sink.clone());
        format!("{}: {}, {} sent", sink.text("/name"), sink.text("/state"), sink.number("/sent"))
    });
    panel(frame, area, " delivery ", queues.chain(sinks));
}

fn panel(frame: &mut Frame<'_>, area: Rect, title: &'static str, lines: impl Iterator<Item = String>) {
    let block = Block::new().borders(Borders::TOP).title(title);
    frame.render_widget(Paragraph::new(lines.into_iter().collect::<Text<'_>>()).block(block), area);
}

/// What fits on a tall screen.
const SUBJECTS: u32 = 60;
const REFRESH: Duration = Duration::from_secs(1);
const MOST_REASONS: u16 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::status::tests::sample;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn screen(status: &Told, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, status)).unwrap();
        let buffer = terminal.backend().buffer();
        let line = |row: u16| {
            (0..width).map(|column| buffer[(column, row)].symbol()).collect::<String>().trim_end().to_owned()
        };
        (0..height).map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_screen_shows_who_alerted_first_and_what_needs_a_look_last() {
        let screen = screen(&sample(&["sink splunk waits: no route"]), 110, 22);
        let expected = include_str!("top_screen.txt").trim_end();
        assert_eq!(screen, expected, "\n{screen}\n");
    }

    #[test]
    fn a_small_screen_and_an_empty_status_are_drawn_all_the_same() {
        for (width, height) in [(1, 1), (20, 5), (80, 24)] {
            screen(&sample(&["x"; 9]), width, height);
            screen(&Told(Value::Null), width, height);
        }
    }
}
