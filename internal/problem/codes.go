package problem

import "net/http"

// The codes. Each has one row in the table below.
const (
	Internal        Code = "internal"
	InvalidInput    Code = "invalid_input"
	NotFound        Code = "not_found"
	Forbidden       Code = "forbidden"
	Unauthenticated Code = "unauthenticated"
	TooLarge        Code = "too_large"
	RateLimited     Code = "rate_limited"
	Conflict        Code = "conflict"
	Unavailable     Code = "unavailable"
	CloudOnly       Code = "cloud_only"

	ContentType      Code = "content_type"
	NotUTF8          Code = "not_utf8"
	BodyTimeout      Code = "body_timeout"
	MethodNotAllowed Code = "method_not_allowed"

	SignInFailed     Code = "sign_in_failed"
	AccountDisabled  Code = "account_disabled"
	PasswordTooWeak  Code = "password_too_weak"
	TokenExpired     Code = "token_expired"
	TokenInvalid     Code = "token_invalid"
	RefreshReused    Code = "refresh_reused"
	EnrolCodeInvalid Code = "enrol_code_invalid"
	EnrolCodeUsed    Code = "enrol_code_used"
	EnrolCodeExpired Code = "enrol_code_expired"
	NotEnrolled      Code = "not_enrolled"
	NodeUnknown      Code = "node_unknown"
	NodeRevoked      Code = "node_revoked"
	NodeProofInvalid Code = "node_proof_invalid"
	NonceExpired     Code = "nonce_expired"

	DeviceNotAdopted    Code = "device_not_adopted"
	DeviceOffline       Code = "device_offline"
	DeviceStale         Code = "device_stale"
	DeviceRefused       Code = "device_refused"
	ControlUnknown      Code = "control_unknown"
	BoxOffline          Code = "box_offline"
	BrokerAway          Code = "broker_away"
	ConfirmationInvalid Code = "confirmation_invalid"
	ConfirmationExpired Code = "confirmation_expired"
	ActionStateChanged  Code = "action_state_changed"
	ActionPending       Code = "action_pending"
	ActionExpired       Code = "action_expired"
	ActionNoAnswer      Code = "action_no_answer"

	MediaHashMismatch      Code = "media_hash_mismatch"
	MediaTypeRefused       Code = "media_type_refused"
	MediaTooManyPixels     Code = "media_too_many_pixels"
	MediaTooLarge          Code = "media_too_large"
	MediaDamaged           Code = "media_damaged"
	MediaStorageFull       Code = "media_storage_full"
	UploadOffsetConflict   Code = "upload_offset_conflict"
	UploadChecksumMismatch Code = "upload_checksum_mismatch"
	UploadLocked           Code = "upload_locked"
	UploadGone             Code = "upload_gone"
	UploadTooMany          Code = "upload_too_many"
	UploadContentType      Code = "upload_content_type"
	TusVersion             Code = "tus_version"

	MQTTAway               Code = "mqtt_away"
	MQTTListen             Code = "mqtt_listen"
	MQTTStore              Code = "mqtt_store"
	MQTTLoginRefused       Code = "mqtt_login_refused"
	MQTTClientIDWrong      Code = "mqtt_client_id_wrong"
	MQTTClientIDTwice      Code = "mqtt_client_id_twice"
	MQTTProtocol           Code = "mqtt_protocol"
	MQTTVersion            Code = "mqtt_version"
	MQTTPublishForbidden   Code = "mqtt_publish_forbidden"
	MQTTSubscribeForbidden Code = "mqtt_subscribe_forbidden"
	MQTTTopicCharacters    Code = "mqtt_topic_characters"
	MQTTTopicUnheard       Code = "mqtt_topic_unheard"
	MQTTPayloadTooLarge    Code = "mqtt_payload_too_large"
	MQTTPayloadRefused     Code = "mqtt_payload_refused"
	MQTTFlood              Code = "mqtt_flood"
	MQTTLeftOut            Code = "mqtt_left_out"
	MQTTBrokerDropped      Code = "mqtt_broker_dropped"
)

// StatusChecksumMismatch is the status that the tus checksum extension defines.
const StatusChecksumMismatch = 460

type row struct {
	status  int
	message string
	remedy  string
}

// table is the one list of codes with their HTTP status, message and remedy. It is
// constant data: nothing writes to it.
var table = map[Code]row{
	Internal:        {http.StatusInternalServerError, "Something went wrong on our side", "Try again; if it happens again, give the operator the request id."},
	InvalidInput:    {http.StatusBadRequest, "The input is not valid", "Correct the fields named and send it again."},
	NotFound:        {http.StatusNotFound, "There is no such thing, or you may not see it", "Check the address; ask a manager if you should have access."},
	Forbidden:       {http.StatusForbidden, "Your role does not allow this", "Ask a manager of the building to do it or to change your role."},
	Unauthenticated: {http.StatusUnauthorized, "You are not signed in", "Sign in and try again."},
	TooLarge:        {http.StatusRequestEntityTooLarge, "The request is larger than the limit", "Send less at once."},
	RateLimited:     {http.StatusTooManyRequests, "Too many requests", "Wait for the time in Retry-After and try again."},
	Conflict:        {http.StatusConflict, "The request conflicts with the current state", "Read the current state and decide again."},
	CloudOnly:       {http.StatusForbidden, "This is done at the cloud only", "Do it at the cloud; the building follows with the next exchange."},
	Unavailable:     {http.StatusServiceUnavailable, "The service cannot answer now", "Try again in a few seconds."},

	ContentType:      {http.StatusUnsupportedMediaType, "The body has the wrong content type", "Send JSON with Content-Type: application/json."},
	NotUTF8:          {http.StatusBadRequest, "The body is not valid UTF-8", "Send JSON in UTF-8."},
	BodyTimeout:      {http.StatusRequestTimeout, "The body did not arrive in time", "Send it again, over a better connection if there is one."},
	MethodNotAllowed: {http.StatusMethodNotAllowed, "This address does not take that method", "See the documentation at /docs/."},

	SignInFailed:     {http.StatusUnauthorized, "The e-mail address or the password is wrong", "Check both and try again, or ask a manager to reset the password."},
	AccountDisabled:  {http.StatusForbidden, "This account is disabled", "Ask a manager of your building to enable it."},
	PasswordTooWeak:  {http.StatusBadRequest, "The password cannot be used", "Choose another: at least 10 characters, at most 200 bytes, and not your e-mail address."},
	TokenExpired:     {http.StatusUnauthorized, "The sign-in has expired", "Refresh it, or sign in again."},
	TokenInvalid:     {http.StatusUnauthorized, "The sign-in is not valid here", "Sign in again."},
	RefreshReused:    {http.StatusUnauthorized, "This sign-in was used twice and has been ended for safety", "Sign in again; if it was not you, change your password."},
	EnrolCodeInvalid: {http.StatusBadRequest, "The enrolment code is not valid", "Check the code for typing errors, or ask an admin for a new one."},
	EnrolCodeUsed:    {http.StatusConflict, "The enrolment code has already been used", "Ask an admin for a new code."},
	EnrolCodeExpired: {http.StatusGone, "The enrolment code has expired", "Ask an admin for a new code; it lives 24 hours."},
	NotEnrolled:      {http.StatusServiceUnavailable, "This box is not enrolled", "Run estate-edge enrol with a one-time code from the operator."},
	NodeUnknown:      {http.StatusUnauthorized, "This node is not enrolled here", "Enrol it with a one-time code."},
	NodeRevoked:      {http.StatusForbidden, "This node has been revoked", "Enrol the box again as a new node, with a new code."},
	NodeProofInvalid: {http.StatusUnauthorized, "The node did not prove that it holds its key", "Check that the node talks to the server it was enrolled at, and that its key file is intact."},
	NonceExpired:     {http.StatusUnauthorized, "The challenge is too old or not ours", "Ask for a new challenge and answer it within 60 seconds."},

	DeviceNotAdopted:    {http.StatusConflict, "Nobody adopted this device", "Adopt it first: then it takes orders."},
	DeviceOffline:       {http.StatusConflict, "The device is offline", "Look at its power and its network; until it is back, act at the device itself."},
	DeviceStale:         {http.StatusConflict, "It is not known what state the device is in now", "Wait until it reports, or act at the device itself."},
	DeviceRefused:       {http.StatusConflict, "The device refused the order", "Read what it said; it may be locked at the device itself."},
	ControlUnknown:      {http.StatusNotFound, "The device cannot be told this", "Choose one of the device's controls; they appear once the device announced itself or reported."},
	BoxOffline:          {http.StatusConflict, "The building's box is not in touch with the cloud", "Give the order in the building's network, at the box itself, or wait until it is back."},
	BrokerAway:          {http.StatusConflict, "The box does not reach the MQTT broker", "Look at the broker; then give the order again."},
	ConfirmationInvalid: {http.StatusBadRequest, "The confirmation is not one of yours for this device", "Ask for the plan of the order again and confirm that."},
	ConfirmationExpired: {http.StatusConflict, "The confirmation is older than a minute", "Look at the device's state as it is now and confirm again."},
	ActionStateChanged:  {http.StatusConflict, "Something changed since it was shown to you", "Look at the device's state as it is now and decide again."},
	ActionPending:       {http.StatusConflict, "Another order to this device is under way", "Wait for its answer; it takes a minute and a half at most."},
	ActionExpired:       {http.StatusConflict, "The order reached the box too late and was not carried out", "Look at the device's state as it is now and give the order again."},
	ActionNoAnswer:      {http.StatusGatewayTimeout, "The device did not answer: it is not known whether it did it", "Look at the device itself before giving the order again."},

	MediaHashMismatch:      {StatusChecksumMismatch, "The file that arrived is not the file that was announced", "Send it again from the beginning; the upload was set back to offset 0."},
	MediaTypeRefused:       {http.StatusUnsupportedMediaType, "This type of file is not accepted", "Send JPEG, PNG, WebP, GIF, MP4, 3GP, MOV, WebM, M4A, OGG or PDF. On an iPhone choose Settings, Camera, Formats, Most Compatible to take JPEG instead of HEIC."},
	MediaTooManyPixels:     {http.StatusUnprocessableEntity, "The picture has too many pixels", "Send it with at most 50 megapixels."},
	MediaTooLarge:          {http.StatusRequestEntityTooLarge, "The file is larger than the limit", "Send a smaller or shorter recording; the limit is in the Tus-Max-Size header."},
	MediaDamaged:           {http.StatusUnprocessableEntity, "The file is damaged or cut off", "Open it on the device that made it, save it again and send that."},
	MediaStorageFull:       {http.StatusInsufficientStorage, "There is no room left for files", "Keep the file and try later; ask the operator to free space."},
	UploadOffsetConflict:   {http.StatusConflict, "The upload continues at another offset", "Ask for the offset with HEAD and continue there."},
	UploadChecksumMismatch: {StatusChecksumMismatch, "The part that arrived does not match its checksum", "Send the same part again."},
	UploadLocked:           {http.StatusLocked, "This upload is being written by another request", "Wait for the other request to end, then ask for the offset and continue."},
	UploadGone:             {http.StatusGone, "This upload has ended", "Start a new upload."},
	UploadTooMany:          {http.StatusTooManyRequests, "Too many unfinished uploads", "Finish or cancel the ones that were started."},
	UploadContentType:      {http.StatusUnsupportedMediaType, "The part of an upload has the wrong content type", "Send PATCH with Content-Type: application/offset+octet-stream."},
	TusVersion:             {http.StatusPreconditionFailed, "The upload protocol version is missing or not supported", "Send the header Tus-Resumable: 1.0.0."},

	MQTTAway:               {http.StatusServiceUnavailable, "Devices are not heard: the MQTT broker cannot be reached", "Check that the broker runs, and broker_url, its user and its password; the box tries again by itself."},
	MQTTListen:             {http.StatusServiceUnavailable, "Devices are not heard: the box's MQTT broker cannot listen on its port", "Stop the program that has the port, often a mosquitto of the system, or set mqtt_listen or mqtt_tls_listen to another port; the box tries again by itself."},
	MQTTStore:              {http.StatusInsufficientStorage, "Devices are not heard: the store of the box's MQTT broker failed", "Free room on the disk of the data folder; the box tries again by itself, and devices send again what was not acknowledged."},
	MQTTLoginRefused:       {http.StatusUnauthorized, "The broker knows no such MQTT login, or its password is wrong", "Make the login with estate-edge device add NAME, which prints a new password, and enter both at the device."},
	MQTTClientIDWrong:      {http.StatusUnauthorized, "The MQTT client id is not the login's name", "Set the device's client id to the login's name: each login is bound to it, so that no device can silence another."},
	MQTTClientIDTwice:      {http.StatusConflict, "Two devices use one MQTT client id and throw each other off", "Give each device a login and a client id of its own with estate-edge device add NAME."},
	MQTTProtocol:           {http.StatusBadRequest, "The device does not speak MQTT as it is defined; its connection was closed", "Update the device's MQTT library, and check that nothing between it and the box changes what it sends."},
	MQTTVersion:            {http.StatusBadRequest, "The device speaks a version of MQTT that the broker does not", "Set the device to MQTT 3.1.1, which is protocol level 4."},
	MQTTPublishForbidden:   {http.StatusForbidden, "The device published to a topic that is not its own; the broker acknowledged the message and dropped it", "Let it publish below the topics that estate-edge device add printed, or make it a login with the right role and base."},
	MQTTSubscribeForbidden: {http.StatusForbidden, "The device subscribed to a topic that is not its own; the broker refused", "Let it subscribe to the topics that estate-edge device add printed, or make it a login with the right role and base."},
	MQTTTopicCharacters:    {http.StatusBadRequest, "The topic holds white space or a control character, which the broker cannot carry; the connection was closed and the message is lost", "Rename the device or its topic without spaces, or use a mosquitto by broker_url."},
	MQTTTopicUnheard:       {http.StatusNotFound, "Nobody listens to this topic: the message was acknowledged and dropped", "Compare the topic with firmware-docs/topics.md; add the prefix to the gateways or discovery prefixes where it is one."},
	MQTTPayloadTooLarge:    {http.StatusRequestEntityTooLarge, "The payload is larger than the limit", "Send at most 256 KiB on the estate's own topics and 8 MiB on others."},
	MQTTPayloadRefused:     {http.StatusUnprocessableEntity, "The payload was not understood, in whole or in part", "Compare it with firmware-docs/topics.md; the reason names what is wrong."},
	MQTTFlood:              {http.StatusTooManyRequests, "The device sends far more messages than a device of its kind needs", "Set a longer interval at the device, or look for a loop in its configuration; restart it."},
	MQTTLeftOut:            {http.StatusServiceUnavailable, "Messages came faster than they can be stored, and those of QoS 0 were left out", "Let devices whose values count send with QoS 1, and look for one that floods."},
	MQTTBrokerDropped:      {http.StatusServiceUnavailable, "The broker dropped messages that it had acknowledged: more waited for a client than it keeps", "Give your mosquitto the limits that estate-edge broker files writes, max_queued_messages and max_inflight_messages, and look for a client that is away or too slow."},
}

// Codes lists every code of the table, for documentation and tests.
func Codes() []Code {
	out := make([]Code, 0, len(table))
	for c := range table {
		out = append(out, c)
	}
	return out
}
