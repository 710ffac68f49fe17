//! Progress marks and reports of containers.

use crate::case::cases;
use crate::check::check_eq;
use crate::fixture::at;
use broker_api::{ContainerBrokerExt, ContainerMarks, Reported};

fn reported(put: &str, objects: i64) -> Reported {
    Reported {
        put_timestamp: put.into(),
        delete_timestamp: "0".into(),
        object_count: objects,
        bytes_used: objects * 10,
    }
}

cases! {
    /// The updater writes down what it told the account, larger or smaller than before.
    #[case(Core, clauses = ["MARK-1"])]
    async fn report_is_stored_unconditionally(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let mut expected = broker.get_info().await?;
        for (put, objects) in [
            (at(5).as_str().to_owned(), 7),
            ("0000000003.00000".into(), 2),
            ("0".into(), -1),
        ] {
            let mut marks = ContainerMarks::default();
            marks.reported = Some(reported(&put, objects));
            broker.set_marks(&marks).await?;
            expected.reported = reported(&put, objects);
            check_eq!(broker.get_info().await?, expected, "after reporting {put}");
        }
        Ok(())
    }

    /// Container sync keeps two marks, and the reconciler one; setting one leaves the others.
    #[case(Core, clauses = ["MARK-1"])]
    async fn each_mark_is_set_alone(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let mut expected = broker.get_info().await?;
        let table = [
            (Some(5), None, None),
            (None, Some(6), None),
            (None, None, Some(7)),
            (None, None, None),
            (Some(1), Some(2), Some(3)),
            (Some(-1), None, Some(0)),
        ];
        for (one, two, reconciler) in table {
            let mut marks = ContainerMarks::default();
            marks.x_container_sync_point1 = one;
            marks.x_container_sync_point2 = two;
            marks.reconciler_sync_point = reconciler;
            broker.set_marks(&marks).await?;
            expected.x_container_sync_point1 = one.unwrap_or(expected.x_container_sync_point1);
            expected.x_container_sync_point2 = two.unwrap_or(expected.x_container_sync_point2);
            expected.reconciler_sync_point = reconciler.unwrap_or(expected.reconciler_sync_point);
            check_eq!(broker.get_info().await?, expected, "after {marks:?}");
        }
        Ok(())
    }
}
