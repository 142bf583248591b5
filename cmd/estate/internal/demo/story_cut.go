package demo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"net/url"
	"slices"

	"estate/internal/apiclient"
	"estate/internal/desk"
	"estate/internal/lab/stack"
)

const (
	manager, technician, tenant = "manager", "technician", "tenant-a"
	leakingUnit                 = "4B"
	leakSensor                  = "bathroom-leak"
)

// begin starts a cloud and one edge and waits until they are in step.
func (t *tale) begin(ctx context.Context) error {
	plan := stack.DefaultPlan()
	plan.Buildings = plan.Buildings[:1]
	plan.People = slices.DeleteFunc(plan.People, func(p stack.Person) bool { return p.Key == "tenant-b" })
	for i := range plan.People {
		delete(plan.People[i].Roles, "PINE")
	}
	buildings, err := start(ctx, t.stack, plan, t.publisher)
	if len(buildings) > 0 {
		t.gateway = buildings[0]
	}
	if err != nil {
		return err
	}
	t.cloud, t.edge = t.stack.Cloud(cloudName), t.stack.Edge("OAK")
	t.id = t.edge.Place.ID
	for _, who := range []string{manager, technician, tenant} {
		if t.atCloud[who], err = t.stack.SignIn(ctx, t.cloud.Base(), who); err != nil {
			return err
		}
	}
	if t.atEdge[manager], err = t.stack.SignIn(ctx, t.edge.Base(), manager); err != nil {
		return err
	}
	t.holds("cloud at %s, edge of %s at %s, enrolled with a one-time code and its own key", t.cloud.Base(), t.edge.Place.Name, t.edge.Base())
	if err := t.synced(ctx); err != nil {
		return err
	}
	t.holds("the edge holds receipts for everything it wrote")
	t.seen = newWitness(context.WithoutCancel(ctx), t.id, t.atCloud[manager])
	return until(ctx, "the manager's dashboard to follow the building", func() error {
		if !t.seen.saw(func(e apiclient.Event) bool { return e.Type == apiclient.EventSubscribed }) {
			return errors.New("not subscribed yet")
		}
		return nil
	})
}

// synced waits for an application-level receipt for everything.
func (t *tale) synced(ctx context.Context) error {
	return until(ctx, "edge and cloud to be in step", func() error {
		state, err := t.atEdge[manager].SyncState(ctx, t.id)
		if err != nil {
			return err
		}
		if state.Link == nil || state.Link.State != "synced" || state.Outbox != 0 {
			return fmt.Errorf("the link is %+v, %d transactions wait", state.Link, state.Outbox)
		}
		return nil
	})
}

// cut cuts the line.
func (t *tale) cut(ctx context.Context) error {
	t.edge.Line.Cut()
	err := until(ctx, "the edge to notice", func() error {
		state, err := t.atEdge[manager].SyncState(ctx, t.id)
		if err != nil {
			return err
		}
		if state.Link == nil || state.Link.State == "synced" {
			return fmt.Errorf("the link is %+v", state.Link)
		}
		return nil
	})
	if err != nil {
		return err
	}
	t.holds("the line between edge and cloud is cut, and the edge says so")
	return nil
}

// leak fires the sensor: twice, as gateways do.
func (t *tale) leak(ctx context.Context) error {
	if err := t.gateway.Fire(ctx, leakSensor); err != nil {
		return err
	}
	var ticket desk.Ticket
	err := until(ctx, "an alarm and its ticket", func() (err error) {
		ticket, err = t.onlyTicket(ctx, t.atEdge[manager])
		return err
	})
	if err != nil {
		return err
	}
	t.ticket = ticket.ID
	alarms, err := t.atEdge[manager].Alarms(ctx, t.id)
	if err != nil {
		return err
	}
	if len(alarms) != 1 || alarms[0].Cause != "leak" || alarms[0].Ticket != t.ticket || alarms[0].UnitName != leakingUnit {
		return fmt.Errorf("one leak alarm of %s with the ticket was expected: %+v", leakingUnit, alarms)
	}
	t.holds("one alarm: %s in %s, state %s", alarms[0].Cause, alarms[0].UnitName, alarms[0].State)
	t.holds("one ticket: %s “%s”, priority %s, status %s (the gateway had sent the message twice)", ticket.Code, ticket.Title, ticket.Priority, ticket.Status)
	return nil
}

// onlyTicket is the building's one open ticket; more or less is an error.
func (t *tale) onlyTicket(ctx context.Context, client *apiclient.Client) (desk.Ticket, error) {
	open, err := client.Tickets(ctx, t.id, url.Values{"open": {"true"}})
	if err != nil {
		return desk.Ticket{}, err
	}
	if len(open) != 1 {
		return desk.Ticket{}, fmt.Errorf("%d open tickets, one was expected", len(open))
	}
	return open[0], nil
}

// report is the tenant's, at the edge.
func (t *tale) report(ctx context.Context) error {
	client, err := t.stack.SignIn(ctx, t.edge.Base(), tenant)
	if err != nil {
		return err
	}
	t.atEdge[tenant] = client
	t.holds("signed in with no internet")
	unit := t.edge.Place.Units[leakingUnit]
	result, err := client.CreateTicket(ctx, t.id, "story-report", apiclient.NewTicket{
		Title: "Water is dripping from the bathroom ceiling", Description: "It started this morning and gets worse.", Category: "plumbing", Unit: &unit})
	if err != nil {
		return err
	}
	if !result.Joined || result.Ticket.ID != t.ticket {
		return fmt.Errorf("the report did not join the sensor's ticket: %+v", result)
	}
	if _, err := t.onlyTicket(ctx, t.atEdge[manager]); err != nil {
		return err
	}
	messages, err := client.Messages(ctx, t.id, t.ticket)
	if err != nil {
		return err
	}
	if len(messages) != 1 {
		return fmt.Errorf("%d messages on the ticket, the report was expected", len(messages))
	}
	t.holds("the report joined %s; still one open ticket; the text is a message on it", result.Ticket.Code)
	return t.photograph(ctx, client)
}

// photograph uploads a photo through tus, in pieces.
func (t *tale) photograph(ctx context.Context, client *apiclient.Client) error {
	var err error
	if t.photo, err = drip(); err != nil {
		return err
	}
	stored, err := client.Upload(ctx, t.id, apiclient.Photo{Ticket: t.ticket, Name: "ceiling.jpg", Type: "image/jpeg", Bytes: t.photo})
	if err != nil {
		return err
	}
	files, err := client.MediaOf(ctx, t.id, t.ticket)
	if err != nil {
		return err
	}
	if len(files) != 1 || files[0].Digest != stored {
		return fmt.Errorf("one photo %s was expected on the ticket: %+v", stored, files)
	}
	t.photoID, t.digest = files[0].ID, files[0].Digest
	got, err := client.Download(ctx, t.id, t.photoID)
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(got); hex.EncodeToString(sum[:]) != t.digest {
		return fmt.Errorf("the photo at the edge hashes to %x, not to its name %s", sum, t.digest)
	}
	t.holds("photo of %d KB stored at the edge as %.12s…, its bytes hash to its name", len(got)/1024, t.digest)
	return nil
}

// drip draws a photo of some size: noise does not compress.
func drip() ([]byte, error) {
	const side = 900
	picture := image.NewRGBA(image.Rect(0, 0, side, side))
	noise := uint32(1)
	for y := range side {
		for x := range side {
			noise = noise*1664525 + 1013904223
			shade := uint8(noise >> 24)
			picture.SetRGBA(x, y, color.RGBA{R: shade / 2, G: shade / 2, B: 128 + shade/4, A: 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, picture, &jpeg.Options{Quality: 90}); err != nil {
		return nil, fmt.Errorf("draw a photo: %w", err)
	}
	return b.Bytes(), nil
}

// powerCut kills the edge and starts it again.
func (t *tale) powerCut(ctx context.Context) error {
	if err := t.edge.Kill9(); err != nil {
		return err
	}
	if err := t.edge.Start(ctx); err != nil {
		return err
	}
	client, err := t.stack.SignIn(ctx, t.edge.Base(), technician)
	if err != nil {
		return err
	}
	t.atEdge[technician] = client
	ticket, err := t.onlyTicket(ctx, client)
	if err != nil {
		return err
	}
	messages, err := client.Messages(ctx, t.id, t.ticket)
	if err != nil {
		return err
	}
	photo, err := client.Download(ctx, t.id, t.photoID)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(photo)
	if ticket.ID != t.ticket || len(messages) != 1 || hex.EncodeToString(sum[:]) != t.digest {
		return fmt.Errorf("after the restart: ticket %s, %d messages, photo %x", ticket.Code, len(messages), sum)
	}
	t.holds("kill -9, started again without internet: ticket, report and photo are all there")
	t.holds("the broker's retained “wet” is no new event: still one ticket")
	if _, err := t.atEdge[tenant].Messages(ctx, t.id, t.ticket); err != nil {
		return fmt.Errorf("the tenant's sign-in of before: %w", err)
	}
	t.holds("who was signed in still is")
	return nil
}
