package groupcommit

import "context"

// Gatherer lets concurrent readers share a query: questions that arrive while one is under
// way are asked together in the next. What answers a question was read after it was asked,
// so nothing is older than if everybody had asked alone.
type Gatherer[Q, A any] struct {
	queue Queue[A]
}

// NewGatherer makes a Gatherer of at most so many questions at once. ask answers each of
// them, in their order, or fails for all; it is called with no caller's context.
func NewGatherer[Q, A any](most int, ask func([]Q) ([]A, error)) *Gatherer[Q, A] {
	g := &Gatherer[Q, A]{}
	g.queue.Max = most
	g.queue.Run = func(batch []*Call[A]) error {
		questions := make([]Q, len(batch))
		for i, c := range batch {
			questions[i], _ = c.Hint().(Q)
		}
		answers, err := ask(questions)
		if err != nil {
			return err
		}
		for i, c := range batch {
			_ = c.Try(answers[i]) // its own error is what its caller gets
		}
		return nil
	}
	return g
}

// Ask answers one question. A caller whose context ends while it waits for its turn leaves
// with the context's error.
func (g *Gatherer[Q, A]) Ask(ctx context.Context, q Q) (answer A, err error) {
	err = g.queue.DoFor(ctx, q, func(a A) error { answer = a; return nil })
	return answer, err
}
