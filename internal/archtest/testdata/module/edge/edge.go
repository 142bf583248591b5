// Package edge is a fixture.
package edge
