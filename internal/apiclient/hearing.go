package apiclient

import (
	"context"
	"time"

	"estate/sync/record"
)

// Hearing says whether a building's devices are heard.
type Hearing struct {
	Heard      bool       `json:"heard"`
	BlindSince *time.Time `json:"blind_since"`
	Code       string     `json:"code"`
	Detail     string     `json:"detail"`
	Remedy     string     `json:"remedy"`
	Refused    int64      `json:"refused"`
}

// Hearing asks a building's own box; at the cloud it returns not_found.
func (c *Client) Hearing(ctx context.Context, building record.ID) (Hearing, error) {
	var out Hearing
	return out, c.Get(ctx, under(building, "/hearing"), &out)
}

// Refusal is something of a device that was not taken, with how often.
type Refusal struct {
	Login   string    `json:"login"`
	Topic   string    `json:"topic"`
	Key     string    `json:"key"`
	Code    string    `json:"code"`
	Message string    `json:"message"`
	Remedy  string    `json:"remedy"`
	Detail  string    `json:"detail"`
	Count   int       `json:"count"`
	LastAt  time.Time `json:"last_at"`
}

// Refusals asks a building's own box; at the cloud it returns not_found.
func (c *Client) Refusals(ctx context.Context, building record.ID) ([]Refusal, error) {
	var out struct {
		Items []Refusal `json:"items"`
	}
	err := c.Get(ctx, under(building, "/refusals"), &out)
	return out.Items, err
}
