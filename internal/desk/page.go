package desk

// Limits of lists.
const (
	// PerPageDefault fits a screen.
	PerPageDefault = 50
	// PerPageMax keeps one answer under a megabyte of ordinary records.
	PerPageMax = 200
	// pageMax bounds what a numbered page makes the store skip; cursors go further.
	pageMax = 10000
	// cursorBytesMax bounds a cursor from outside; ours are far below.
	cursorBytesMax = 1024
)

// Page asks for part of a list: by number, or by the cursor of the list before it. A
// cursor is stable while records come and go and wins over the number.
type Page struct {
	Page    int
	PerPage int
	Cursor  string
}

// List is part of a list.
type List[T any] struct {
	Items   []T `json:"items"`
	Page    int `json:"page"`
	PerPage int `json:"per_page"`
	// Total counts all items that the filter and the caller's rights let through.
	Total int `json:"total"`
	// Next is the cursor of what follows, empty at the end.
	Next string `json:"next,omitempty"`
}
