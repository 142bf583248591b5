package broker_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// helperVariable names the store folder for the child process of a test.
const helperVariable = "ESTATE_BROKER_HELPER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperVariable); dir != "" {
		if err := helperMain(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m)
}
