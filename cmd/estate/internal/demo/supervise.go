package demo

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"

	"estate/internal/lab"
	"estate/internal/lab/stack"
)

const (
	// againMin and againMax bound the pause before a program that ended is started again: soon
	// after a kill, and no storm where it cannot start.
	againMin = time.Second
	againMax = 30 * time.Second
	// steadyAfter is how long a program must have run for its next end to be a first one.
	steadyAfter = time.Minute
)

// program is one that the demo keeps running.
type program struct {
	name string
	// run starts it and waits until it is ready; ended is closed when that run has ended, and
	// why says how.
	run   func(ctx context.Context) error
	ended func() <-chan struct{}
	why   func() string
}

// supervise starts a program again whenever it ends by itself, with a word on the screen,
// until ctx ends.
func (p program) supervise(ctx context.Context, say func(string)) {
	pause := againMin
	for {
		steady := time.NewTimer(steadyAfter)
		select {
		case <-p.ended():
		case <-steady.C:
			pause = againMin
			select {
			case <-p.ended():
			case <-ctx.Done():
			}
		case <-ctx.Done():
		}
		steady.Stop()
		if ctx.Err() != nil {
			return
		}
		say(fmt.Sprintf("%s ended by itself (%s); starting it again in %s. All else goes on", p.name, p.why(), pause))
		for running := false; !running; {
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return
			}
			pause = min(2*pause, againMax)
			switch err := p.run(ctx); {
			case err == nil:
				running = true
				say(p.name + " runs again")
			case ctx.Err() == nil:
				say(fmt.Sprintf("%s cannot start, next attempt in %s: %v", p.name, pause, err))
			}
		}
	}
}

// programsOf lists what is to be kept running of a stack: its cloud and its edges.
func programsOf(s *stack.Stack) []program {
	cloud := s.Cloud(cloudName)
	all := []program{keep("the "+cloudName, cloud.Process, func(ctx context.Context) error {
		_, err := s.StartCloud(ctx, cloudName)
		return err
	})}
	for _, place := range s.State.Buildings {
		if edge := s.Edge(place.Code); edge != nil {
			all = append(all, keep("the edge of "+place.Name, edge.Process, edge.Start))
		}
	}
	return all
}

func keep(name string, process func() *lab.Process, start func(context.Context) error) program {
	return program{name: name, run: start, ended: func() <-chan struct{} { return process().Exited() }, why: func() string {
		why := fmt.Sprint(process().ExitError())
		if said := strings.Split(process().LogTail(), "\n"); said[len(said)-1] != "" {
			why += "; its log ends: " + said[len(said)-1]
		}
		return why
	}}
}

// watch keeps everything running until ctx ends.
func watch(ctx context.Context, s *stack.Stack, say func(string)) {
	var watching sync.WaitGroup
	for _, p := range programsOf(s) {
		watching.Go(func() { p.supervise(ctx, say) })
	}
	<-ctx.Done()
	// A second Ctrl-C ends this program at once; the kernel ends its children.
	signal.Reset(os.Interrupt)
	watching.Wait()
}
