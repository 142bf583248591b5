package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"estate/internal/problem"
)

// The life of a broker whose store fails:
//
//	running ──a write failed──▶ down ──there is room: open──▶ running
//	start ──address taken─────▶ ▲  │
//	                            └──┘ no room, or it cannot be opened: wait, longer each time
//
// The server's store refuses every write after one that failed, even once there is room
// again, and sensors are left without acknowledgements. So it is opened anew, in place:
// same address, same logins, same sessions. Nobody is let in before the edge's own session
// is back.

const (
	// mendMin and mendMax are the pauses between looks for room.
	mendMin = time.Second
	mendMax = 30 * time.Second
	// mendSound is how long a store that was mended must work for the next failure to
	// count as a new one.
	mendSound = time.Minute
	// mendTries is how often a store that cannot be opened though there is room is tried
	// before it is moved aside, as at a start.
	mendTries = 5
	// roomBytes is what must be free: a few blocks of the store and its index.
	roomBytes = 1 << 20
)

// Trouble is why the broker is down.
type Trouble struct {
	// Code is empty while it is not.
	Code   problem.Code
	Detail string
}

// Trouble is why the broker is down; its zero value while it is not.
func (b *Broker) Trouble() Trouble {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.trouble
}

// fail notes that the store takes nothing more. It does not block.
func (b *Broker) fail(cause string) { b.failAs(problem.MQTTStore, cause) }

func (b *Broker) failAs(code problem.Code, cause string) {
	b.note(code, cause)
	select {
	case b.failed <- struct{}{}:
	default:
	}
}

func (b *Broker) note(code problem.Code, cause string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trouble = Trouble{code, cause}
}

// Mend brings the broker back each time its store has failed or its address was taken, until
// ctx ends. Then the broker may be down.
func (b *Broker) Mend(ctx context.Context) error {
	wait, mended := mendMin, time.Time{}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-b.failed:
		}
		if b.cfg.Now().Sub(mended) > mendSound {
			wait = mendMin
		}
		b.log.ErrorContext(ctx, "mqtt broker is down", "code", b.Trouble().Code, "cause", b.Trouble().Detail)
		b.shut()
		for tries := 0; ; wait = min(2*wait, mendMax) {
			timer := time.NewTimer(wait)
			select {
			case <-ctx.Done():
				timer.Stop()
				return ctx.Err()
			case <-timer.C:
			}
			if room(b.cfg.StoreDir) != nil {
				continue
			}
			if tries++; b.reopen(tries) {
				break
			}
		}
		mended = b.cfg.Now()
		b.log.InfoContext(ctx, "mqtt broker is back", "address", b.Addr())
	}
}

// reopen tries to open the store anew.
func (b *Broker) reopen(tries int) bool {
	select {
	case <-b.failed: // of the server before
	default:
	}
	err := b.open()
	if err != nil && !errors.Is(err, ErrListen) && tries >= mendTries && room(b.cfg.StoreDir) == nil {
		err = b.openEmpty(err)
	}
	if err != nil {
		if errors.Is(err, ErrListen) {
			b.note(problem.MQTTListen, err.Error())
		}
		b.log.Warn("mqtt broker cannot be started yet", "tries", tries, "cause", err)
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.failed) == 0 {
		b.trouble = Trouble{}
	}
	return true
}

// room reports why the disk of the store takes nothing more, nil if it does.
func room(storeDir string) error {
	path := filepath.Join(filepath.Dir(filepath.Clean(storeDir)), "room.probe")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("look for room: %w", err)
	}
	_, err = file.Write(bytes.Repeat([]byte{1}, roomBytes))
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close(), os.Remove(path)); err != nil {
		return fmt.Errorf("look for room: %w", err)
	}
	return nil
}
