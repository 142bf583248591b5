package e2e_test

import "testing"

// TestStory: the main job, told by the operator's program with real processes, and
// mosquitto_pub for the sensors.
func TestStory(t *testing.T) {
	t.Parallel()
	output, err := run(t, nil, "demo", "--story", "--publisher", "mosquitto_pub")
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	t.Log(output)
}
