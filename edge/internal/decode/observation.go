// Package decode turns MQTT messages into observations. It takes bytes and gives values:
// no clock, socket, file or goroutine. What it does not understand it names, with the
// reason; it must never guess a value, and it must never read "unknown" as "offline" or
// as "dry".
package decode

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"strconv"
	"time"
)

// Message is one message as it arrived.
type Message struct {
	Topic     string
	Payload   []byte
	Retained  bool
	Duplicate bool
	Arrival   time.Time
}

// Kind says what was observed.
type Kind string

// The kinds of observations. The names are stored and shown: never change one.
const (
	Leak           Kind = "leak"
	Smoke          Kind = "smoke"
	Gas            Kind = "gas"
	CarbonMonoxide Kind = "carbon_monoxide"
	Contact        Kind = "contact"
	Occupancy      Kind = "occupancy"
	Vibration      Kind = "vibration"
	Tamper         Kind = "tamper"
	Temperature    Kind = "temperature"
	// DeviceTemperature is that of a device's own parts, which says nothing of the room.
	DeviceTemperature Kind = "device_temperature"
	// MachineTemperature is that of a machine on which a sensor was put: a pump, a burner.
	MachineTemperature Kind = "machine_temperature"
	Humidity           Kind = "humidity"
	Pressure           Kind = "pressure"
	Illuminance        Kind = "illuminance"
	Power              Kind = "power"
	Energy             Kind = "energy"
	Current            Kind = "current"
	CO2                Kind = "co2"
	Battery            Kind = "battery"
	BatteryLow         Kind = "battery_low"
	Voltage            Kind = "voltage"
	LinkQuality        Kind = "link_quality"
	Availability       Kind = "availability"
	Opening            Kind = "opening" // of a door or window: true is open, unlike Contact
	Motion             Kind = "motion"
	Sound              Kind = "sound"
	Problem            Kind = "problem"
	Connectivity       Kind = "connectivity"
	Running            Kind = "running"
	Update             Kind = "update"   // an update of the device's software
	Switched           Kind = "switched" // what a relay or plug is
	Valve              Kind = "valve"
	Cover              Kind = "cover"
	Lock               Kind = "lock"
	Position           Kind = "position"
	Input              Kind = "input"
	Event              Kind = "event"
	Moisture           Kind = "moisture" // of soil or building material, in percent
	PM25               Kind = "pm25"
	PM10               Kind = "pm10"
	VOC                Kind = "voc"
	DewPoint           Kind = "dew_point"
	ApparentPower      Kind = "apparent_power"
	ReactivePower      Kind = "reactive_power"
	PowerFactor        Kind = "power_factor"
	Frequency          Kind = "frequency"
	Water              Kind = "water"      // volume that a meter counted
	GasVolume          Kind = "gas_volume" // volume that a meter counted
	FlowRate           Kind = "flow_rate"
	Distance           Kind = "distance"
	Weight             Kind = "weight"
	Speed              Kind = "speed"
	Noise              Kind = "noise"
	Signal             Kind = "signal" // strength of the radio signal
	Duration           Kind = "duration"
	Setpoint           Kind = "setpoint"
	Mode               Kind = "mode"
	Other              Kind = "other" // a value whose meaning nobody told
)

// ValueType says which field of a Value holds it.
type ValueType uint8

// The types of values.
const (
	Bool ValueType = iota + 1
	Number
	Text
)

// Value is a bool, a finite number or a text. Values compare with ==.
type Value struct {
	Type   ValueType
	Bool   bool
	Number float64
	Text   string
}

// BoolValue makes a Value of a bool.
func BoolValue(v bool) Value { return Value{Type: Bool, Bool: v} }

// NumberValue makes a Value of a number.
func NumberValue(v float64) Value { return Value{Type: Number, Number: v} }

// String is the value as text, for logs and screens.
func (v Value) String() string {
	switch v.Type {
	case Bool:
		return strconv.FormatBool(v.Bool)
	case Number:
		return strconv.FormatFloat(v.Number, 'g', -1, 64)
	case Text:
		return v.Text
	}
	return ""
}

// Observation is one value of one device at one time.
type Observation struct {
	// Hardware names the device for ever: "z2m:0x00158d…", "mac:a8032ab12345",
	// "plain:<building>/<device>", "hass:<identifier>"; or, until something names the
	// hardware, how it is called: "z2m:name:<base>/<name>", "tasmota:topic:<topic>".
	Hardware string
	// Alias is the Hardware that a device had before something named it, for devices that
	// were adopted under it. Empty for plain sensors.
	Alias string
	// Name is what people call it; it can change.
	Name string
	// Key is the payload's own word for the value, Kind is ours.
	Key   string
	Kind  Kind
	Value Value
	Unit  string
	// EventTime is the device's or gateway's time, zero where none was sent or it cannot
	// be right.
	EventTime   time.Time
	ArrivalTime time.Time
	// Retained marks the broker's last known state: never an event.
	Retained bool
	// Duplicate marks a message that the broker may have delivered before.
	Duplicate bool
}

// ID is the same for the same observation delivered again. Observations without an event
// time are told apart by their arrival.
func (o Observation) ID() [16]byte {
	h := sha256.New()
	for _, s := range []string{o.Hardware, o.Key, string(o.Kind), o.Value.Text} {
		_, _ = h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(s))))
		_, _ = h.Write([]byte(s))
	}
	at := o.EventTime
	if at.IsZero() {
		at = o.ArrivalTime
	}
	tail := []byte{byte(o.Value.Type), 0}
	if o.Value.Bool {
		tail[1] = 1
	}
	tail = binary.BigEndian.AppendUint64(tail, math.Float64bits(o.Value.Number))
	tail = binary.BigEndian.AppendUint64(tail, uint64(at.UnixNano()))
	_, _ = h.Write(tail)
	return [16]byte(h.Sum(nil))
}

// Unrecognised names a payload, or one key of it, that was not understood. It says nothing
// about the device's state.
type Unrecognised struct {
	Topic  string
	Key    string // empty when the whole payload is meant
	Code   Code
	Reason string
}

// Code says in one word why something was refused, for programs. The words are part of the
// contract with devices (firmware-docs): never change one.
type Code string

// The codes. Those from TopicNotPermitted on come from the broker, all others from this package.
const (
	NotUnderstood     Code = "not_understood"
	NotAnObject       Code = "not_an_object"
	PayloadTooLarge   Code = "payload_too_large"
	UnknownTopic      Code = "unknown_topic"
	AnotherBuilding   Code = "another_building"
	WrongName         Code = "wrong_name"
	WrongTime         Code = "wrong_time"
	WrongValue        Code = "wrong_value"
	OutOfRange        Code = "out_of_range"
	WrongAvailability Code = "wrong_availability"
	WrongAnnouncement Code = "wrong_announcement"
	WrongAnswer       Code = "wrong_answer"
	TopicNotPermitted Code = "topic_not_permitted"
	TopicCharacters   Code = "topic_characters"
	ClientIDTwice     Code = "client_id_twice"
	TooManyMessages   Code = "too_many_messages"
)

// Codes lists the codes that a device can find on its error topic.
func Codes() []Code {
	return []Code{NotUnderstood, NotAnObject, PayloadTooLarge, UnknownTopic, WrongTime, WrongValue, OutOfRange, WrongAvailability, WrongAnnouncement, WrongAnswer, TopicNotPermitted, TopicCharacters, ClientIDTwice, TooManyMessages}
}

// Result is everything that one message said.
type Result struct {
	Observations []Observation
	Unrecognised []Unrecognised
	// Nothing says why a message that was understood holds no value, as a firmware's log.
	Nothing string
	// Configures says that the message told of devices rather than values: save its topic and
	// payload in place of what was saved of the topic, and give all of it to Seed at the start.
	Configures bool
	// Remember are messages that say in short what this one told of the names of hardware: save
	// each as those that configure.
	Remember []Message
	// Changed are devices that became known by the message, or of which it told something new.
	Changed []string
	// Removed are devices that say that they are gone. Nothing of them is to be deleted
	// without a person.
	Removed []string
	// Answers are what devices say of orders.
	Answers []Answer
	// Ask are questions to devices that tell all that they know only when asked.
	Ask []Sending
	// Building and Device are set for messages on a plain sensor's topics, so that it can
	// be told what was refused.
	Building, Device string
}

func (r *Result) refuse(m Message, key, reason string) { r.refuseAs(NotUnderstood, m, key, reason) }

func (r *Result) refuseAs(code Code, m Message, key, reason string) {
	r.Unrecognised = append(r.Unrecognised, Unrecognised{Topic: clip(m.Topic), Key: clip(key), Code: code, Reason: reason})
}

// clip bounds what a sender can put into our logs and lists.
func clip(s string) string {
	const textBytesMax = 200
	if len(s) > textBytesMax {
		return s[:textBytesMax] + "…"
	}
	return s
}
