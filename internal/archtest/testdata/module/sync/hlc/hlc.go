// Package hlc is a fixture that breaks a rule.
package hlc

import _ "os"
