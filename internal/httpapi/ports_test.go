package httpapi_test

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"estate/internal/auth"
	"estate/internal/desk"
	"estate/internal/httpapi"
	"estate/internal/problem"
	"estate/sync/record"
)

// fakeEdges keeps boxes in memory: the cloud's own is behind the cloud's tests.
type fakeEdges struct {
	mu    sync.Mutex
	boxes []httpapi.EdgeView
	moved chan struct{} // nil: nothing ever changes
}

func (f *fakeEdges) Watch(record.ID) (<-chan struct{}, func()) { return f.moved, func() {} }

func (f *fakeEdges) Edges(_ context.Context, buildings []record.ID) ([]httpapi.EdgeView, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []httpapi.EdgeView
	for _, b := range f.boxes {
		for _, id := range buildings {
			if b.Building == id {
				out = append(out, b)
			}
		}
		if buildings == nil {
			out = append(out, b)
		}
	}
	return out, nil
}

func (f *fakeEdges) Edge(_ context.Context, node record.ID) (httpapi.EdgeView, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.boxes {
		if b.ID == node {
			return b, nil
		}
	}
	return httpapi.EdgeView{}, problem.New(problem.NotFound, "")
}

func (f *fakeEdges) CreateEnrolment(_ context.Context, building, by record.ID) (auth.EnrolCode, auth.Enrolment, error) {
	code, err := auth.NewEnrolCode(rand.Reader)
	return code, auth.Enrolment{Building: building, By: by, ExpiresAt: time.Now().Add(auth.EnrolCodeLife)}, err
}

func (f *fakeEdges) Revoke(_ context.Context, node, _ record.ID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.boxes {
		if f.boxes[i].ID == node {
			f.boxes[i].Revoked = true
		}
	}
	return nil
}

// fakeAccounts keeps people in memory.
type fakeAccounts struct {
	mu   sync.Mutex
	rows map[record.ID]httpapi.AccountView
}

func (f *fakeAccounts) Accounts(context.Context, string, desk.Page) (desk.List[httpapi.AccountView], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := desk.List[httpapi.AccountView]{Page: 1, PerPage: 50, Total: len(f.rows)}
	for _, r := range f.rows {
		out.Items = append(out.Items, r)
	}
	return out, nil
}

func (f *fakeAccounts) Account(_ context.Context, id record.ID) (httpapi.AccountView, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	row, ok := f.rows[id]
	if !ok {
		return row, problem.New(problem.NotFound, "")
	}
	return row, nil
}

func (f *fakeAccounts) CreateAccount(_ context.Context, in httpapi.NewAccount) (httpapi.AccountView, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rows == nil {
		f.rows = map[record.ID]httpapi.AccountView{}
	}
	f.rows[in.ID] = httpapi.AccountView{ID: in.ID, Name: in.Name, Email: in.Email, Operator: in.Operator}
	return f.rows[in.ID], nil
}

func (f *fakeAccounts) UpdateAccount(ctx context.Context, id record.ID, _ httpapi.AccountChange) (httpapi.AccountView, error) {
	return f.Account(ctx, id)
}

func (f *fakeAccounts) Memberships(context.Context, record.ID) ([]httpapi.MembershipView, error) {
	return nil, nil
}

func (f *fakeAccounts) SetMembership(_ context.Context, _, _ record.ID, in httpapi.MembershipView) (httpapi.MembershipView, error) {
	return in, nil
}
