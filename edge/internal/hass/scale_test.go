package hass

import (
	"math"
	"testing"
)

// TestScaleOfNumbers: what a device announces as the ends of its scale never makes a value that is
// no number: such a value cannot be stored.
func TestScaleOfNumbers(t *testing.T) {
	t.Parallel()
	ends := []string{"NaN", "Inf", "-Inf", "1e308", "-1e308", "0", "100", "255", "5e-324"}
	for _, none := range ends {
		for _, all := range ends {
			s := scaled(none, all)
			if s == nil {
				continue
			}
			for _, f := range []float64{0, 50, 1e308, -1e308, 5e-324} {
				if v := s.percent(f); !(v >= 0 && v <= 100) {
					t.Errorf("of %s to %s, %g gives %g percent", none, all, f, v)
				}
			}
			for _, percent := range []float64{0, 50, 100} {
				if v := s.Of(percent); math.IsNaN(v) || math.IsInf(v, 0) {
					t.Errorf("of %s to %s, %g percent gives %g", none, all, percent, v)
				}
			}
		}
	}
	if s := scaled("255", "0"); s == nil || s.percent(0) != 100 || s.Of(100) != 0 {
		t.Errorf("a shutter that is closed at 255 has the scale %+v", s)
	}
}
