package hass

import (
	_ "embed"
	"strings"
	"testing"
)

//go:embed testdata/published_keys.txt
var publishedKeys string

// TestAbbreviations: each key that Home Assistant publishes is known, none is made of another by
// mistake, and what names a topic or a template stands for one.
func TestAbbreviations(t *testing.T) {
	t.Parallel()
	known := entityKeys()
	for key := range strings.Lines(publishedKeys) {
		if key = strings.TrimSpace(key); !strings.HasPrefix(key, "#") && known[key] == "" {
			t.Errorf("%s is not known", key)
		}
	}
	longs := map[string]string{}
	for short, long := range known {
		for end, want := range map[string]string{"_t": "topic", "_tpl": "template"} {
			if strings.HasSuffix(short, end) && !strings.HasSuffix(long, want) {
				t.Errorf("%s stands for %s", short, long)
			}
		}
		if other, twice := longs[long]; twice && !strings.HasPrefix(long, "target_humidity") && long != "support_duration" {
			t.Errorf("%s and %s both stand for %s", short, other, long)
		}
		longs[long] = short
	}
	for short, long := range map[string]string{"ids": "identifiers", "cns": "connections", "mf": "manufacturer", "mdl": "model", "mdl_id": "model_id", "sw": "sw_version", "hw": "hw_version", "sa": "suggested_area", "sn": "serial_number", "cu": "configuration_url"} {
		if deviceKeys()[short] != long {
			t.Errorf("%s of a device stands for %q", short, deviceKeys()[short])
		}
	}
	if originKeys()["sw"] != "sw_version" || originKeys()["url"] != "support_url" {
		t.Errorf("of an origin: %v", originKeys())
	}
}
