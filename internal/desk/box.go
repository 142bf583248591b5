package desk

import (
	"context"
	"strings"

	"estate/sync/record"
)

// boxPrefix begins the hardware id of a box.
const boxPrefix = "box:"

// BoxHardware is the hardware id under which a box is a device of its building.
func BoxHardware(node record.ID) string { return boxPrefix + node.String() }

// IsBox reports whether a hardware id is a box's.
func IsBox(hardware string) bool { return strings.HasPrefix(hardware, boxPrefix) }

// watchName is the actor of what the cloud notices.
const watchName = "watch"

// CauseBoxSilent is the cause of the one alarm of a box that the cloud raises and ends; all others
// are the box's own.
const CauseBoxSilent = "box_silent"

// SeeBox enters a box as a device of its building, adopted: it was enrolled by a person. What a
// person decided about it stays.
func (d *Desk) SeeBox(ctx context.Context, building, node record.ID) error {
	k := key(building, "device", DeviceID(building, BoxHardware(node)))
	return d.automate(ctx, building, watchName, "device.see", []record.Key{k}, func(x *draft) error {
		if x.fields(k).text("hardware") != "" {
			return nil
		}
		return x.setAll(k, textPair("hardware", BoxHardware(node)), textPair("name", "Box"), pair{"adopted", record.Bool(true)})
	})
}
