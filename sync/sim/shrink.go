package sim

import "slices"

// Shrink looks for a smaller run that still breaks an invariant: fewer kinds of trouble,
// fewer steps, then steps left out, which works because no step's choices depend on
// another's. It makes at most runs tries and returns the smallest failing config, which is
// the one given where nothing smaller fails.
func Shrink(c Config, runs int) (Config, Report) {
	if c.Steps == 0 {
		c.Steps = StepsUsual
	}
	s := &shrinking{best: c, left: runs}
	s.report, _ = Run(c)
	for _, one := range c.Faults.Split() {
		smaller := s.best
		smaller.Faults &^= one
		s.try(smaller)
	}
	s.shorten()
	s.thin()
	s.shorten()
	return s.best, s.report
}

type shrinking struct {
	best   Config
	report Report
	left   int
}

func (s *shrinking) try(c Config) bool {
	if s.left <= 0 {
		return false
	}
	s.left--
	report, err := Run(c)
	if err == nil {
		return false
	}
	s.best, s.report = c, report
	return true
}

// shorten cuts off the end.
func (s *shrinking) shorten() {
	for cut := s.best.Steps / 2; cut > 0; {
		smaller := s.best
		smaller.Steps -= cut
		smaller.Drop = slices.DeleteFunc(slices.Clone(smaller.Drop), func(n int) bool { return n > smaller.Steps })
		if smaller.Steps == 0 || !s.try(smaller) {
			cut /= 2
		}
		cut = min(cut, s.best.Steps-1)
	}
}

// thin leaves out stretches of steps, longer ones first.
func (s *shrinking) thin() {
	for length := s.best.Steps / 2; length > 0; length /= 2 {
		for from := 1; from <= s.best.Steps; from += length {
			smaller := s.best
			smaller.Drop = slices.Clone(smaller.Drop)
			for n := from; n < from+length && n <= s.best.Steps; n++ {
				smaller.Drop = append(smaller.Drop, n)
			}
			slices.Sort(smaller.Drop)
			if smaller.Drop = slices.Compact(smaller.Drop); len(smaller.Drop) > len(s.best.Drop) {
				s.try(smaller)
			}
		}
	}
}
