package replica

import "estate/sync/wire"

// Remedy says what to do about a protocol code, for the Bye that ends a session and for
// the status screens of both sides. An unknown code has the general remedy.
func Remedy(code string) string {
	switch code {
	case wire.CodeFrameMalformed:
		return "Check the network between the nodes for a proxy that changes traffic; the link is tried again by itself."
	case wire.CodeFrameTooLarge:
		return "A record is near its size limit: split long texts into messages and send files as media."
	case wire.CodeFrameUnknown:
		return "The other side runs a later release; update this one when convenient. Nothing is lost."
	case wire.CodeFrameUnexpected:
		return "The two sides disagree on the conversation: update the older one; the link is tried again by itself."
	case wire.CodeProtocolVersion:
		return "Update the older of the two sides: releases understand the protocol of the one before."
	case wire.CodeWrongBuilding:
		return "Enrol this edge for the building it serves."
	case wire.CodeNodeUnknown:
		return "Enrol this node with a one-time code."
	case wire.CodeNodeRevoked:
		return "This node was revoked: enrol the box again as a new node."
	case wire.CodeTooManyInFlight:
		return "The other side sends more than it was granted: update it; the link is tried again by itself."
	case wire.CodeAuthorForged:
		return "Sign in as the person whose app this is; nobody writes in another's name."
	case wire.CodeRecordFull:
		return "This record has no room left: settle its conflicts, or go on in a new one."
	case wire.CodeStoreFailed:
		return "Look at disk space and the database of the side that reports this; the link is tried again by itself."
	case wire.CodeStoreRewound:
		return "A store was restored from a backup: nothing is lost that others hold; both sides offer everything again."
	case wire.CodeRecordsReturned:
		return "This store had lost what it once acknowledged, as after a restore: a phone brought it back. The log names the records."
	case wire.CodeNodeCloned:
		return "Two programs run with this box's key: a disk was copied. Switch one off and enrol it as a new box. Nothing is lost meanwhile."
	case wire.CodeOtherHistory:
		return "A server was copied or set back, and this phone was shown the other branch: it goes on once it has reached the cloud. Nothing is lost meanwhile."
	case wire.CodeChainUnproven:
		return "A phone brought back what it was shown, and the box that wrote it has not told of it yet: these values are kept until it has. If it never comes, compare them with what the record shows."
	case wire.CodeChainFork:
		return "Two nodes use one key: revoke it, find the copy and enrol both again."
	}
	return "The link is tried again by itself; if this stays, give the operator this code."
}
