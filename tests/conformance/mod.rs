//! One suite of behaviours, run against every adapter: what the engine may rely on, whatever it
//! stands on.

mod adapter;
mod audit;
mod bodies;
mod calendars;
mod dead_letters;
mod deletion;
mod failures;
mod following;
mod held_back;
mod limits;
mod messages;
mod pauses;
mod rabbitmq_and_redis;
mod record;
mod sealing;
mod sqlite;
pub mod tenants;
mod webhooks;

/// Runs every behaviour against an adapter.
macro_rules! conforms {
    ($name:ident: $adapter:ty => $($room:ident::{$($behaviour:ident),* $(,)?})*) => {
        mod $name {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    let adapter = <$adapter as super::adapter::Adapter>::new().await;
                    super::$room::$behaviour(&adapter).await;
                }
            )*)*
        }
    };
}

macro_rules! all_conform {
    ($($name:ident: $adapter:ty),* $(,)?) => {
        $(conforms! { $name: $adapter =>
            messages::{
                what_is_published_is_handed_out_as_it_was_and_gone_once_settled,
                a_delivery_is_handed_out_as_it_was_handed_over,
                a_dropped_receipt_returns_the_message_and_says_so,
                what_a_crash_left_unsettled_comes_back_flagged_and_nothing_else_does,
                a_part_is_handed_out_apart_until_it_is_settled,
                a_source_that_stops_taking_can_still_settle,
                a_delay_is_never_early_and_the_shorter_comes_first,
                what_is_put_off_is_never_early_and_waits_for_whoever_takes_it,
                an_event_of_our_own_comes_like_any_other,
            }
            dead_letters::{
                a_dead_letter_says_why_and_keeps_its_content,
                a_requeue_starts_again_from_attempt_1_with_a_higher_sequence,
                what_is_no_event_can_be_requeued_and_what_is_no_delivery_cannot,
                a_purge_and_a_dry_run_keep_to_their_filter,
                a_requeue_takes_those_that_were_given_up_in_a_period,
                what_was_delivered_since_or_given_up_anew_is_no_longer_listed,
                what_names_nobody_legibly_is_the_operators_and_nothing_of_others_is_told,
                a_list_looks_at_no_letters_of_others,
                of_two_jobs_at_once_each_counts_what_it_took_itself,
            }
            webhooks::{
                a_change_acts_within_a_second,
                a_webhook_is_found_by_id_and_name_and_names_are_unique,
                changes_made_at_once_do_not_undo_each_other,
                a_rotated_secret_is_staged_promoted_and_the_old_one_ends,
                of_many_that_disable_a_webhook_at_once_one_did_it,
                a_document_that_cannot_be_used_hurts_no_other,
                an_update_keeps_what_this_version_does_not_know,
                a_deleted_webhook_takes_its_attempts_along,
                a_change_made_on_an_older_version_is_refused,
            }
            limits::{
                an_organization_has_so_many_webhooks_at_most_and_others_have_their_own,
                a_webhook_that_is_too_large_is_refused_and_one_that_stands_can_be_disabled_and_mended,
                a_name_is_free_once_its_webhook_has_another_or_is_gone,
                a_name_that_another_program_gave_is_taken,
            }
            audit::{
                every_change_leaves_one_entry_that_says_who_and_what,
                a_refused_change_leaves_none,
                two_changes_at_once_leave_two_entries,
                what_disables_a_webhook_by_itself_is_entered_once,
                a_document_that_could_not_be_read_is_compared_as_it_was_stored,
                an_audit_log_is_an_organizations_own_and_read_by_parts,
                of_an_audit_log_so_many_are_kept_and_none_that_are_too_old,
            }
            sealing::{
                what_is_secret_of_a_webhook_lies_sealed_in_the_store,
                a_url_as_it_is_shown_stays_what_it_is,
                everything_is_sealed_anew_while_others_go_on,
                whoever_lacks_the_key_knows_that_it_is_its_own_fault,
            }
            bodies::{
                beyond_the_budget_the_oldest_bodies_go_and_their_states_stay,
                a_body_that_comes_again_is_the_newest_and_counts_once,
                a_body_larger_than_the_budget_is_not_kept_and_costs_no_other,
            }
            deletion::{
                what_ends_after_a_webhook_was_deleted_leaves_nothing_of_it,
                what_other_workers_write_of_a_deleted_webhook_goes_and_a_new_one_of_its_id_begins_anew,
            }
            failures::{
                a_streak_of_failures_is_what_the_domain_says,
                a_test_that_is_taken_ends_a_streak_of_failures,
            }
            calendars::{
                whoever_asks_a_time_of_a_rate_limit_is_given_once,
                a_higher_rate_limit_acts_at_once,
                nobody_is_given_more_than_half_of_the_times_that_are_free,
                a_deleted_webhook_leaves_no_trace_of_its_calendar,
                what_several_put_off_comes_back_one_after_the_other,
                what_becomes_slower_leaves_room_for_what_comes_back_again,
                what_one_worker_gets_done_it_says_itself,
            }
            pauses::{
                a_worker_that_starts_heeds_what_was_told_before,
                what_is_over_or_told_to_be_is_not_recalled,
                of_two_pauses_of_one_endpoint_the_longer_is_recalled_and_of_two_endpoints_both,
                nothing_is_recalled_of_a_webhook_that_was_deleted_meanwhile,
            }
            held_back::{
                what_a_worker_says_of_a_webhook_stands_until_it_says_otherwise,
                what_is_over_is_not_shown_and_what_is_said_of_one_is_not_said_of_another,
                of_a_webhook_that_is_not_registered_nothing_is_kept,
            }
            following::{
                each_follower_hears_of_each_attempt_once_and_in_order,
                a_follower_that_is_slow_catches_up,
                a_follower_goes_on_behind_an_entry_or_begins_now,
                a_follower_hears_of_what_its_filter_wants_alone,
            }
            record::{
                an_attempt_is_read_back_exactly,
                attempts_are_capped_and_paged,
                a_delivery_that_failed_is_read_back_with_its_body,
                the_settled_sequence_is_the_highest_and_never_shortens_a_whole_record,
                marks_are_added_up_and_outlast_their_removal,
                a_run_of_failures_begins_after_the_last_success,
                enabling_a_webhook_forgets_its_failures,
                attempts_are_counted_by_the_quarter_of_an_hour,
                an_attempt_is_found_by_its_entry,
                of_those_who_retry_a_delivery_at_once_one_may,
            }
        })*
    };
}

all_conform! {
    on_rabbitmq_and_redis: super::rabbitmq_and_redis::RabbitAndRedis,
    on_sqlite_in_a_file: super::sqlite::File,
    on_sqlite_in_memory: super::sqlite::Memory,
}
