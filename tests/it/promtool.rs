//! Prometheus's own tools on what the bridge shows: `tests/run metrics`.

use crate::support::promtool::Promtool;

#[test]
fn promtool_finds_what_is_wrong_with_a_page_and_nothing_else() {
    let Some(promtool) = Promtool::find() else {
        return;
    };
    let good = "# HELP icr_bridge_x_total Counts.\n# TYPE icr_bridge_x_total counter\nicr_bridge_x_total 1\n";
    assert_eq!(promtool.complaints(good), "");
    let unnamed = good.replace("_total", "");
    assert!(
        promtool.complaints(&unnamed).contains("_total"),
        "a counter's name must end in _total"
    );
    assert_ne!(promtool.complaints("icr_bridge_x 1 2 3 4\n"), "");
}

#[test]
fn promtool_approves_of_what_a_bridge_shows() {
    let Some(promtool) = Promtool::find() else {
        return;
    };
    let app = crate::support::app::TestApp::start(&[]);
    app.deliver(
        &app.simulator()
            .delivery(icr_bridge::domain::event::EventKind::Installed, 1),
    );
    assert_eq!(promtool.complaints(&app.metrics().text), "");
}
