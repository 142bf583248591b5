// Package cloud is a fixture that breaks a rule.
package cloud

import _ "estate/edge"
