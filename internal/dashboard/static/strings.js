// @ts-check
// The catalogue: every text of the page, in one place with strings-devices.js,
// strings-assets.js and strings-rules.js. A key that ends in .one and .other
// is a plural; {name} stands for a value.

import { assetStrings } from './strings-assets.js';
import { deviceStrings } from './strings-devices.js';
import { ruleStrings } from './strings-rules.js';

/** @type {Readonly<Record<string, string>>} */
export const strings = Object.freeze({
  ...assetStrings,
  ...deviceStrings,
  ...ruleStrings,
  'app.name': 'Smart Estate',
  'app.skip': 'Skip to tickets',
  'app.sections': 'Sections',
  'app.building': 'Building',
  'app.sign_out': 'Sign out',
  'app.close': 'Close',
  'app.dismiss': 'Dismiss',
  'app.retry': 'Try again',
  'app.more': 'Show more',
  'app.loading': 'Loading …',
  'app.unknown': 'unknown',
  'app.none': 'none',
  'app.unnamed': 'somebody',
  'app.cancel': 'Cancel',
  'app.no_buildings': 'No building is assigned to you',
  'app.no_buildings_hint': 'Ask a manager of your building to add you, then sign in again.',

  'sign_in.title': 'Sign in',
  'sign_in.email': 'E-mail address',
  'sign_in.password': 'Password',
  'sign_in.submit': 'Sign in',
  'sign_in.busy': 'Signing in …',
  'sign_in.ended': 'Your session has ended. Sign in again to go on.',
  'sign_in.resuming': 'Opening your session …',

  'connection.label': 'Connection',
  'connection.live': 'Live',
  'connection.connecting': 'Connecting …',
  'connection.reconnecting': 'Reconnecting, last live {time}',
  'connection.offline': 'Offline since {time}',
  'connection.stale': 'What you see was true at {time}. It is updated as soon as the connection returns.',
  'connection.back': 'Connection restored. The page is up to date.',

  'counts.label': 'At a glance',
  'counts.open': 'Open',
  'counts.urgent': 'Urgent',
  'counts.alarms': 'Alarms',
  'counts.conflicts': 'Conflicts',
  'counts.edges': 'Edges offline',
  'counts.unknown': '–',

  'chart.title': 'Tickets reported per day, last {days} days',
  'chart.day': '{day}: {count}',
  'chart.partial': 'Counted since {day}; earlier tickets are not loaded.',
  'chart.total.one': '1 ticket in {days} days, at most {most} a day',
  'chart.total.other': '{count} tickets in {days} days, at most {most} a day',

  'tickets.title': 'Tickets',
  'tickets.filter': 'Show',
  'tickets.filter.open': 'Open',
  'tickets.filter.urgent': 'Urgent',
  'tickets.filter.all': 'All',
  'tickets.search': 'Search tickets',
  'tickets.empty': 'No open tickets',
  'tickets.empty_hint': 'New reports and alarms appear here by themselves.',
  'tickets.empty_urgent': 'No urgent tickets',
  'tickets.empty_all': 'No tickets yet',
  'tickets.empty_search': 'Nothing matches “{query}”',
  'tickets.count': '{shown} of {total}',
  'tickets.conflict.one': '1 conflict',
  'tickets.conflict.other': '{count} conflicts',

  'ticket.details': 'Details',
  'ticket.description': 'Description',
  'ticket.category': 'Category',
  'ticket.unit': 'Unit',
  'ticket.device': 'Device',
  'ticket.reporter': 'Reported by',
  'ticket.reported': 'Reported',
  'ticket.started': 'Started',
  'ticket.resolved': 'Resolved',
  'ticket.resolution': 'Resolution',
  'ticket.tags': 'Tags',
  'ticket.reports': 'Also reported by',
  'ticket.proposed': 'Proposed by automation',
  'ticket.no_description': 'No description was given.',
  'ticket.status': 'Status',
  'ticket.priority': 'Priority',
  'ticket.assignee': 'Assigned to',
  'ticket.unassigned': 'Nobody',
  'ticket.no_priority': 'Not set',
  'ticket.save': 'Save changes',
  'ticket.saved': 'Saved.',
  'ticket.change': 'Change this ticket',
  'ticket.changed_meanwhile': 'This ticket changed while you were editing. If somebody set the same field, both values are kept and shown as a conflict.',
  'ticket.gone': 'This ticket is no longer visible to you.',
  'ticket.media': 'Photos and files',
  'ticket.media_empty': 'No photos or files.',
  'ticket.media_open': 'Open {name}',
  'ticket.media_failed': 'The file is not here yet',
  'ticket.media_file': 'File',
  'ticket.messages': 'Messages',
  'ticket.messages_empty': 'No messages yet.',
  'ticket.message_add': 'Write a message',
  'ticket.message_hint': 'Everyone on the ticket reads it, tenants too.',
  'ticket.message_send': 'Send message',
  'ticket.notes': 'Notes for staff',
  'ticket.notes_empty': 'No notes yet.',
  'ticket.note_add': 'Add a note',
  'ticket.note_hint': 'Only staff read it.',
  'ticket.note_send': 'Add note',
  'ticket.sent': 'Sent.',
  'ticket.history': 'History',
  'ticket.history_empty': 'No history yet.',
  'ticket.by': '{who}, {when}',
  'ticket.at': 'at {where}',
  'ticket.set': '{field}: {value}',
  'ticket.set_from': '{field}: {old} → {value}',
  'ticket.withheld': '{field}: value withheld',
  'ticket.refused': '{field} was refused ({code})',

  'conflicts.title': 'Conflicts',
  'conflicts.hint': 'Two people set a field without seeing each other’s change. Choose the value to keep.',
  'conflicts.empty': 'No conflicts',
  'conflicts.empty_hint': 'Everyone’s changes fit together.',
  'conflicts.of': '{field} of {label}',
  'conflicts.by': '{who} at {where}, {when}',
  'conflicts.by_anywhere': '{who}, {when}',
  'conflicts.shown': 'shown now',
  'conflicts.use': 'Use this',
  'conflicts.use_label': 'Use this: {value} for {field} of {label}',
  'conflicts.resolved': '{field} of {label} is now {value}.',

  'alarms.title': 'Alarms',
  'alarms.empty': 'No alarms',
  'alarms.empty_hint': 'Sensors that report danger appear here at once.',
  'alarms.acknowledge': 'Acknowledge',
  'alarms.acknowledge_label': 'Acknowledge {cause} alarm in {place}',
  'alarms.acknowledged': '{cause} alarm acknowledged.',
  'alarms.ticket': 'Open its ticket',
  'alarms.raised': 'Raised {when}',
  'alarms.cleared': 'cleared {when}',
  'alarms.flapping': 'Flapping',
  'alarms.title_of': '{cause} in {place}',
  'alarms.no_place': 'an unknown place',

  'edges.title': 'Edges',
  'edges.empty': 'No edge is enrolled',
  'edges.empty_hint': 'Make an enrolment code and enter it at the box of the building.',
  'edges.state.synced': 'Synced',
  'edges.state.pending': 'Pending',
  'edges.state.waiting': 'Never seen',
  'edges.state.offline': 'Offline since {time}',
  'edges.state.revoked': 'Revoked',
  'edges.state.unknown': 'No receipt yet',
  'edges.enrolled': 'Enrolled',
  'edges.seen': 'Last in touch',
  'edges.receipt': 'Last receipt',
  'edges.queue': 'Waiting to be sent',
  'edges.queue_empty': 'nothing',
  'edges.queue_of.one': '1 change, waiting since {when}',
  'edges.queue_of.other': '{count} changes, oldest since {when}',
  'edges.queue_count.one': '1 change',
  'edges.queue_count.other': '{count} changes',
  'edges.queue_as_of': '{queue} (as reported {when})',
  'edges.error': 'Last error',
  'edges.remedy': 'What to do',
  'edges.happened': 'What happened',
  'edges.happened_of.one': '{what}, {when}',
  'edges.happened_of.other': '{what}, {count} times, last {when}',
  'edges.notice.store_rewound': 'A store was set back',
  'edges.notice.records_returned': 'A phone brought back lost records',
  'edges.notice.node_cloned': 'Two boxes use one key',
  'edges.notice.chain_fork': 'Two histories under one key',
  'edges.version': 'Version',
  'edges.node': 'Edge {id}',
  'edges.own': 'This building’s edge',
  'edges.cloud_seen': 'Cloud last in touch',
  'edges.code_make': 'New enrolment code',
  'edges.code_title': 'Enrolment code',
  'edges.code_hint': 'Enter it at the box. It works once and is shown only now.',
  'edges.code_expires': 'Expires {when}',
  'edges.code_copy': 'Copy',
  'edges.code_copied': 'Copied.',
  'edges.revoke': 'Revoke',
  'edges.revoke_label': 'Revoke {name}',
  'edges.revoke_title': 'Revoke {name}?',
  'edges.revoke_text': 'The box can no longer exchange data with the cloud. This cannot be undone; the box can only be enrolled again as a new one.',
  'edges.revoke_confirm': 'Revoke this edge',
  'edges.revoked': '{name} is revoked.',

  'announce.ticket_new': 'New ticket {code}: {title}',
  'announce.ticket': 'Ticket {code} changed: {status}',
  'announce.alarm': '{cause} alarm in {place}: {state}',
  'announce.many': '{count} changes',

  'status.new': 'New',
  'status.triaged': 'Triaged',
  'status.assigned': 'Assigned',
  'status.in_progress': 'In progress',
  'status.waiting': 'Waiting',
  'status.resolved': 'Resolved',
  'status.closed': 'Closed',
  'status.cancelled': 'Cancelled',

  'priority.low': 'Low',
  'priority.normal': 'Normal',
  'priority.high': 'High',
  'priority.urgent': 'Urgent',

  'category.plumbing': 'Plumbing',
  'category.electrical': 'Electrical',
  'category.heating': 'Heating',
  'category.lift': 'Lift',
  'category.appliance': 'Appliance',
  'category.structure': 'Structure',
  'category.pest': 'Pest',
  'category.security': 'Security',
  'category.cleaning': 'Cleaning',
  'category.other': 'Other',

  'cause.leak': 'Leak',
  'cause.smoke': 'Smoke',
  'cause.gas': 'Gas',
  'cause.carbon_monoxide': 'Carbon monoxide',
  'cause.temperature': 'Temperature',
  'cause.contact': 'Contact',

  'alarm.active': 'Active',
  'alarm.acknowledged': 'Acknowledged',
  'alarm.cleared': 'Cleared',

  'role.tenant': 'Tenant',
  'role.technician': 'Technician',
  'role.manager': 'Manager',
  'role.admin': 'Admin',

  'where.cloud': 'the cloud',
  'where.edge': 'the edge',
  'where.phone': 'a phone',

  'field.status': 'Status',
  'field.priority': 'Priority',
  'field.title': 'Title',
  'field.description': 'Description',
  'field.category': 'Category',
  'field.unit': 'Unit',
  'field.assignee': 'Assigned to',
  'field.resolution': 'Resolution',
  'field.resolved_at': 'Resolved',
  'field.name': 'Name',
  'field.text': 'Text',

  'time.now': 'just now',
  'time.minutes.one': '1 minute ago',
  'time.minutes.other': '{count} minutes ago',
  'time.hours.one': '1 hour ago',
  'time.hours.other': '{count} hours ago',

  'problem.unreachable': 'The server cannot be reached',
  'problem.unreachable_remedy': 'Check the connection; the page tries again by itself.',
  'problem.timeout': 'The server did not answer in time',
  'problem.timeout_remedy': 'Try again in a few seconds.',
  'problem.page': 'Something went wrong in this page',
  'problem.page_remedy': 'Reload the page; if it happens again, tell the operator.',
  'problem.unknown': 'The server answered with an error ({status})',
  'problem.unknown_remedy': 'Try again; if it happens again, tell the operator.',
  'problem.request': 'Request id: {id}',
  'problem.field': '{field}: {message}',
});

/**
 * The text of a key. A missing key is a defect that a test finds; the page shows the key.
 * @param {string} key
 * @param {Record<string, string|number>} [values]
 */
export function t(key, values = {}) {
  const text = strings[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/**
 * The text of a plural.
 * @param {string} key
 * @param {number} count
 * @param {Record<string, string|number>} [values]
 */
export function plural(key, count, values = {}) {
  return t(`${key}.${count === 1 ? 'one' : 'other'}`, { count: count.toLocaleString(), ...values });
}

/** The values of a group of the catalogue. @param {string} group */
export function valuesOf(group) {
  return Object.keys(strings).filter((key) => key.startsWith(`${group}.`)).map((key) => key.slice(group.length + 1));
}

/**
 * The label of a value from a list that may grow on the server before this page knows it:
 * an unknown value shows as itself.
 * @param {string} group
 * @param {string|null|undefined} value
 */
export function label(group, value) {
  if (!value) return t('app.none');
  return strings[`${group}.${value}`] ?? String(value).replaceAll('_', ' ');
}
