package wire

// The protocol's error codes. Each names one reason for which something was refused or
// held back; SPEC.md lists the remedies. Codes never change their meaning.
const (
	CodeFrameMalformed   = "frame_malformed"
	CodeFrameTooLarge    = "frame_too_large"
	CodeFrameUnknown     = "frame_unknown"
	CodeFrameUnexpected  = "frame_unexpected"
	CodeProtocolVersion  = "protocol_version"
	CodeWrongBuilding    = "wrong_building"
	CodeNodeUnknown      = "node_unknown"
	CodeNodeRevoked      = "node_revoked"
	CodeBadSignature     = "bad_signature"
	CodeContextUnsigned  = "context_unsigned"   // a context reaches a number that its replica's node never signed
	CodeReplicaUnknown   = "replica_unknown"    // no card yet
	CodeKindUnknown      = "kind_unknown"       // a phone's write of a kind that this release does not know
	CodeKindNotYours     = "kind_not_yours"     // a kind that this tier may not write
	CodeFieldForbidden   = "field_forbidden"    // the author's role may not write the field
	CodeRecordForbidden  = "record_forbidden"   // the author may not see or write the record
	CodeValueInvalid     = "value_invalid"      // type, range or encoding
	CodeFieldUnknown     = "field_unknown"      // a phone's write of a field that this release does not know
	CodeClockAhead       = "clock_ahead"        // a stamp more than 5 minutes ahead of the upper tier
	CodeAuthorRevoked    = "author_revoked"     // waits in the manager's queue
	CodeRecordMalformed  = "record_malformed"   // bytes are not a canonical record
	CodeEventMalformed   = "event_malformed"    // bytes are not a canonical event
	CodeChainFork        = "chain_fork"         // two hashes at one number: a key was copied
	CodeOtherHistory     = "other_history"      // a phone was shown another branch of somebody else's chain than this server holds
	CodeStoreFailed      = "store_failed"       // the receiver's store could not take the record
	CodeStoreRewound     = "store_rewound"      // a node holds less than it gave receipts for
	CodeRecordsReturned  = "records_returned"   // a phone brought back records that a store had lost
	CodeNodeCloned       = "node_cloned"        // two programs speak with one node's key
	CodeSetManyElements  = "set_many_elements"  // more than one new element of a set in one transaction
	CodeImmutable        = "immutable"          // a second write to an additive fact
	CodeTransactionTaken = "transaction_taken"  // the number was used with another content
	CodeAuthorForged     = "author_forged"      // a phone's transaction in the name of somebody else than its person
	CodeRecordFull       = "record_full"        // the record would pass the limit of any record
	CodeTooManyInFlight  = "too_many_in_flight" // sender ignores its credits
	CodeChainUnproven    = "chain_unproven"     // kept beside a record until the events behind a signature have come
)
