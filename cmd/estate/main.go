// Command estate is the operator's program: it starts the demo, imports, verifies, enrols
// and measures.
//
// It must never link an edge or the cloud: it starts their programs and speaks their
// public API.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"estate/cmd/estate/internal/asset"
	"estate/cmd/estate/internal/backup"
	"estate/cmd/estate/internal/bench"
	"estate/cmd/estate/internal/crash"
	"estate/cmd/estate/internal/demo"
	"estate/cmd/estate/internal/device"
	"estate/cmd/estate/internal/enrol"
	"estate/cmd/estate/internal/importing"
	"estate/cmd/estate/internal/replay"
	"estate/cmd/estate/internal/rule"
	"estate/cmd/estate/internal/torture"
	"estate/cmd/estate/internal/verify"
	"estate/internal/apiclient"
)

// version is set by the build.
var version = "unknown"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx))
}

func run(ctx context.Context) int {
	root := &cobra.Command{
		Use: "estate", Short: "Operate a Smart Estate", Version: version,
		SilenceErrors: true, SilenceUsage: true,
	}
	root.AddCommand(
		demo.Command(),
		importing.Command(),
		verify.Command(),
		enrol.Command(),
		bench.Command(),
		crash.Command(),
		torture.Command(),
		backup.Command(),
		backup.RestoreCommand(),
		replay.Command(),
		asset.Command(),
		device.Command(),
		rule.Command(),
	)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "estate:", err)
	var refused *apiclient.Error
	if errors.As(err, &refused) && refused.Remedy != "" {
		fmt.Fprintln(os.Stderr, "What to do:", refused.Remedy)
	}
	return 1
}
