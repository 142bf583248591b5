package cloudlink

// Where the cloud serves nodes what is neither enrolment nor the exchange of records.
const (
	// PathMedia is the collection of uploads (tus) for nodes.
	PathMedia = "/sync/media/"
	// PathBlobs serves a blob by its hash to nodes of a building that has a record of it.
	PathBlobs = "/sync/blobs/"
	// PathReadings takes a node's rollups, and its readings around alarms.
	PathReadings = "/sync/readings"
	// PathState takes what a node reports of itself.
	PathState = "/sync/state"
)
