package desk

import (
	"time"

	"estate/sync/record"
)

// Message is what somebody said on a ticket; a Note has the same form and is for staff.
type Message struct {
	ID     record.ID  `json:"id"`
	Ticket record.ID  `json:"ticket"`
	Person *Person    `json:"person,omitempty"`
	Text   string     `json:"text"`
	SentAt *time.Time `json:"sent_at,omitempty"`
}

// NewMessage is a message or a note to add.
type NewMessage struct {
	ID             record.ID
	IdempotencyKey string
	Text           string
	// SentAt is when it was written, where that is not now.
	SentAt *time.Time
}

// Media is a photo, video or voice note of a ticket. Digest names the blob.
type Media struct {
	ID          record.ID  `json:"id"`
	Ticket      record.ID  `json:"ticket"`
	Person      *Person    `json:"person,omitempty"`
	Name        string     `json:"name,omitempty"`
	ContentType string     `json:"content_type"`
	Size        int64      `json:"size"`
	Digest      string     `json:"digest"`
	Thumbnail   string     `json:"thumbnail,omitempty"`
	TakenAt     *time.Time `json:"taken_at,omitempty"`
}

// NewMedia is a file to attach; its bytes are already stored under Digest.
type NewMedia struct {
	ID             record.ID
	IdempotencyKey string
	Digest         record.Hash
	Thumbnail      record.Hash // zero for none
	Size           int64
	ContentType    string
	Name           string
	TakenAt        *time.Time
}
