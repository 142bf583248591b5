package decode_test

import (
	"strings"
	"testing"

	"estate/edge/internal/decode"
)

// What Tasmota tells in its many forms becomes the right values of the right devices.
func TestTasmota(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, lines, want string }{
		{"PowerIsMeasuredBySensorsAndSwitchedByRelays", `
tele/p/SENSOR {"INA219":{"Voltage":4.494,"Current":0.02,"Power":0.089},"ANALOG":{"CTEnergy":{"Energy":1.5,"Power":230}}}
stat/p/RESULT {"POWER":"ON","Dimmer":40,"Color":"FF0000","Fade":"OFF","Speed":3}`, `
tasmota:topic:p ANALOG.CTEnergy.Energy=1.5kWh
tasmota:topic:p ANALOG.CTEnergy.Power=230W
tasmota:topic:p INA219.Current=0.02A
tasmota:topic:p INA219.Power=0.089W
tasmota:topic:p INA219.Voltage=4.494V
tasmota:topic:p Color=FF0000
tasmota:topic:p Dimmer=40%
tasmota:topic:p POWER=true`},
		{"WordsOfSensors", `
tele/s/SENSOR {"TX23":{"Speed":{"Act":14.8},"Dir":{"Card":"WSW","Deg":247.5}},"SpeedUnit":"km/h","VL53L0X":{"Distance":263},"SR04":{"Distance":12.5},"PMS5003":{"PM1":3,"PM2.5":5,"PB0.3":900},"ESP32":{"Temperature":53.3},"BME680":{"Temperature":21.5,"Gas":8.5},"MLX90614":{"OBJTMP":23.8,"AMBTMP":22.7}}`, `
tasmota:topic:s BME680.Gas=8.5kΩ
tasmota:topic:s BME680.Temperature=21.5°C
tasmota:topic:s ESP32.Temperature=53.3°C
tasmota:topic:s MLX90614.AMBTMP=22.7°C
tasmota:topic:s MLX90614.OBJTMP=23.8°C
tasmota:topic:s PMS5003.PB0.3=900ppd
tasmota:topic:s PMS5003.PM1=3µg/m³
tasmota:topic:s PMS5003.PM2.5=5µg/m³
tasmota:topic:s SR04.Distance=12.5cm
tasmota:topic:s TX23.Dir.Card=WSW
tasmota:topic:s TX23.Dir.Deg=247.5°
tasmota:topic:s TX23.Speed.Act=14.8km/h
tasmota:topic:s VL53L0X.Distance=263mm`},
		{"StatusTellsOfTheFirmwareButForSensorsAndState", `
stat/s/STATUS {"Status":{"Module":1,"DeviceName":"Plug","Topic":"s","Power":1}}
stat/s/STATUS5 {"StatusNET":{"Hostname":"s-1","IPAddress":"10.0.0.2","Mac":"00:11:22:33:44:55"}}
stat/s/STATUS10 {"StatusSNS":{"Time":"2026-03-01T12:00:10","SHT3X":{"Temperature":20.5}}}
stat/s/STATUS11 {"StatusSTS":{"Time":"2026-03-01T12:00:10","Uptime":"0T01:00:00","Heap":25,"Wifi":{"AP":1,"SSId":"x","RSSI":84,"Signal":-58},"POWER":"OFF"}}`, `
(a setting, or what the firmware tells of itself)
(a setting, or what the firmware tells of itself)
tasmota:topic:s SHT3X.Temperature=20.5°C @10
tasmota:topic:s POWER=false @10
tasmota:topic:s Wifi.RSSI=84% @10
tasmota:topic:s Wifi.Signal=-58dBm @10`},
		{"ButtonsAndSwitches", `
stat/b/RESULT {"Button1":{"Action":"DOUBLE"}}
stat/b/BUTTON2 {"ACTION":"HOLD"}
stat/b/RESULT {"Switch1":{"Action":"ON"}}
stat/b/RESULT {"Switch2":{"Action":"TOGGLE"}}
tele/b/SENSOR {"Switch1":"OFF"}
stat/b/RESULT {"Shutter1":{"Position":37,"Direction":0,"Target":40,"Tilt":0}}`, `
tasmota:topic:b Button1=DOUBLE
tasmota:topic:b BUTTON2=HOLD
tasmota:topic:b Switch1=true
tasmota:topic:b Switch2=TOGGLE
tasmota:topic:b Switch1=false
tasmota:topic:b Shutter1.Direction=0
tasmota:topic:b Shutter1.Position=37%
tasmota:topic:b Shutter1.Target=40%
tasmota:topic:b Shutter1.Tilt=0°`},
		{"PinsOfExpanders", `
stat/m/RESULT {"MCP230XX_INT":{"D1":1,"MS":301}}
tele/m/SENSOR {"MCP230XX":{"D0":0},"MCP230_OUT":{"OUT_D4":"ON","END":1},"PCF8574-1":{"D2":1},"MCP230XX_INTTIMER":{"D0":5}}
stat/m/RESULT {"S29cmnd_D0":{"COMMAND":"TOGGLE","STATE":"ON"}}`, `
tasmota:topic:m MCP230XX_INT.D1=true
tasmota:topic:m MCP230XX_INT.MS=301ms
tasmota:topic:m MCP230XX.D0=false
tasmota:topic:m MCP230XX_INTTIMER.D0=5
tasmota:topic:m MCP230_OUT.OUT_D4=true
tasmota:topic:m PCF8574-1.D2=true
tasmota:topic:m S29cmnd_D0.STATE=true`},
		{"LinesOfMeters", `
tele/g/RESULT {"SerialReceived":"1-0:1.8.1(000123.456*kWh)\r"}
tele/g/RESULT {"SerialReceived":"0-1:24.2.1(260301120000W)(00012.500*m3)\r"}
tele/g/RESULT {"SerialReceived":"1-3:0.2.8(42)\r"}
tele/g/RESULT {"SerialReceived":"\r"}
tele/g/RESULT {"SSerialReceived":"on"}
tele/g/SENSOR {"TIC":{"ADCO":"0215","PAPP":170,"IINST1":2,"HCHC":920750,"EASF01":12,"PTEC":"HP.."},"ENERGY":{"Load":6}}`, `
tasmota:topic:g SerialReceived.1-0:1.8.1=123.456kWh
tasmota:topic:g SerialReceived.0-1:24.2.1=12.5m³
tasmota:topic:g SerialReceived=1-3:0.2.8(42)
(a setting, or what the firmware tells of itself)
tasmota:topic:g SSerialReceived=on
tasmota:topic:g ENERGY.Load=6%
tasmota:topic:g TIC.ADCO=0215
tasmota:topic:g TIC.EASF01=12Wh
tasmota:topic:g TIC.HCHC=920750Wh
tasmota:topic:g TIC.IINST1=2A
tasmota:topic:g TIC.PAPP=170VA
tasmota:topic:g TIC.PTEC=HP..`},
		{"ZigbeeDevicesKeepTheirAddress", `
tele/zb/SENSOR {"ZbReceived":{"0x5ADF":{"Power":true,"Dimmer":254,"LinkQuality":70}}}
tele/zb/SENSOR {"ZbInfo":{"0x5ADF":{"Device":"0x5ADF","Name":"Lamp","IEEEAddr":"0x90FD9FFFFE03B051","ModelId":"x","Power":1,"LastSeen":3}}}
tele/zb/5ADF/SENSOR {"ZbReceived":{"Lamp":{"Device":"0x5ADF","Dimmer":102}}}
tele/zb/SENSOR {"ZbState":{"Status":30,"IEEEAddr":"0x00158D00036B50AE","ShortAddr":"0x8F20","PowerSource":false}}
tele/zb/SENSOR {"ZbReceived":{"0x8F20":{"Name":"Kitchen","Fire":1,"Temperature":21.01,"PressureUnit":"hPa","Pressure":1004.04}}}`, `
tasmota:topic:zb/zb:0x5ADF Dimmer=254
tasmota:topic:zb/zb:0x5ADF LinkQuality=70lqi
tasmota:topic:zb/zb:0x5ADF Power=true
z2m:0x90fd9ffffe03b051 Power=true
z2m:0x90fd9ffffe03b051 Dimmer=102
(a setting, or what the firmware tells of itself)
z2m:0x00158d00036b50ae Fire=true
z2m:0x00158d00036b50ae Pressure=1004.04hPa
z2m:0x00158d00036b50ae Temperature=21.01°C`},
		{"RemotesSendOrders", `
tele/zb/SENSOR {"ZbReceived":{"0xF72F":{"0006!02":"","Power":2,"Endpoint":1,"Group":100,"LinkQuality":75}}}
tele/zb/SENSOR {"ZbReceived":{"0xF72F":{"0008!02":"01","DimmerStep":1}}}
tele/zb/RESULT {"ZbReceived":{"0x128F":{"AqaraVibrationMode":"tilt","AqaraAngles":[-78,0,11]}}}
tele/zb/SENSOR {"ZbResponse":{"Device":"0x5ADF","Status":0,"LinkQuality":80}}`, `
tasmota:topic:zb/zb:0xF72F LinkQuality=75lqi
tasmota:topic:zb/zb:0xF72F Power=toggle
tasmota:topic:zb/zb:0xF72F DimmerStep=1
tasmota:topic:zb/zb:0x128F AqaraAngles.0=-78°
tasmota:topic:zb/zb:0x128F AqaraAngles.1=0°
tasmota:topic:zb/zb:0x128F AqaraAngles.2=11°
tasmota:topic:zb/zb:0x128F AqaraVibrationMode=tilt
(a setting, or what the firmware tells of itself)`},
		{"OtherDevicesBehindGateways", `
tele/c/SENSOR {"LwReceived":{"0x4AD6":{"Node":1,"Device":"0x4AD6","RSSI":-50.0,"SNR":12.0,"DoorOpen":1,"Battery":3.05}}}
stat/c/RESULT {"MtrUpdate":{"Ep":9,"Name":"Light0","Power":false}}
stat/c/COMMAND {"MtrReceived":{"9":{"Ep":9,"Name":"Light0","Power":1}}}`, `
tasmota:topic:c/lw:0x4AD6 Battery=3.05V
tasmota:topic:c/lw:0x4AD6 DoorOpen=true
tasmota:topic:c/lw:0x4AD6 RSSI=-50dBm
tasmota:topic:c/lw:0x4AD6 SNR=12dB
tasmota:topic:c/matter:9 Power=false
tasmota:topic:c/matter:9 Power=true`},
		{"WordsForThePrefixes", `
tasmota/discovery/00000049A3BC/config {"t":"plug","ft":"house/%topic%/%prefix%/","tp":["order","status","news"],"hn":"h","dn":"Plug","rl":[1]}
house/plug/news/SENSOR {"DHT11":{"Temperature":20.5}}
house/plug/news/LWT Online
house/plug/status/RESULT {"POWER":"ON"}
house/plug/order/POWER ON
tasmota/discovery/00000049A3BD/config {"t":"tap","ft":"%prefix%/%id%/%hostname%/","tp":["cmnd","stat","tele"],"hn":"tap-1","dn":"Tap"}
tele/00000049A3BD/tap-1/STATE {"POWER":"OFF"}
state/other/LWT Offline`, `
mac:00000049a3bc DHT11.Temperature=20.5°C
mac:00000049a3bc availability=true
mac:00000049a3bc POWER=true
(a command to a device)
mac:00000049a3bd POWER=false
tasmota:topic:other availability=false`},
		{"Boilers", `
tele/boiler/SENSOR {"OPENTHERM":{"conn":"BUSY","settings":3,"SLAVE":{"FAULT":0,"CH":1},"BTMP":{"FAULT":0,"REQ":85.0,"ACT":85.0},"FLM":12.0,"TB":31.0,"DHWS":37.0}}
stat/boiler/RESULT {"ot_tboiler":60.0}
stat/boiler/RESULT {"ot_ch":1}
stat/boiler/RESULT CHOD,DHW`, `
tasmota:topic:boiler OPENTHERM.BTMP.ACT=85°C
tasmota:topic:boiler OPENTHERM.BTMP.FAULT=false
tasmota:topic:boiler OPENTHERM.BTMP.REQ=85°C
tasmota:topic:boiler OPENTHERM.DHWS=37°C
tasmota:topic:boiler OPENTHERM.FLM=12%
tasmota:topic:boiler OPENTHERM.SLAVE.CH=true
tasmota:topic:boiler OPENTHERM.SLAVE.FAULT=false
tasmota:topic:boiler OPENTHERM.TB=31°C
tasmota:topic:boiler OPENTHERM.conn=BUSY
tasmota:topic:boiler OPENTHERM.settings=3
tasmota:topic:boiler ot_tboiler=60°C
tasmota:topic:boiler ot_ch=true
(a setting, or what the firmware tells of itself)`},
		{"BeaconsAndChips", `
tele/b/SENSOR {"IBEACON":{"MAC":"A4C1387FC1E1","RSSI":-56,"STATE":"ON"}}
tele/b/SENSOR {"IBEACON_FF34C21G2174":{"RSSI":-81},"Flora-6ab577":{"Humidity":31,"Fertility":120}}
tele/b/RESULT {"TuyaReceived":{"Data":"55AA","Cmnd":7,"DpType2Id104":2453,"104":{"DpId":104,"DpIdData":"00000995"}}}`, `
tasmota:topic:b IBEACON_A4C1387FC1E1.RSSI=-56dBm
tasmota:topic:b IBEACON_A4C1387FC1E1.STATE=true
tasmota:topic:b Flora-6ab577.Fertility=120µS/cm
tasmota:topic:b Flora-6ab577.Humidity=31%
tasmota:topic:b IBEACON_FF34C21G2174.RSSI=-81dBm
tasmota:topic:b TuyaReceived=55AA
tasmota:topic:b TuyaReceived.DpType2Id104=2453`},
		{"WordsOfRules", `
stat/r/temperature 21.5
stat/r/state/humidity {"Temp":
tele/r/SENSOR {"Script":{"abshum":%med(0 tmp)%}}`, `
tasmota:topic:r temperature=21.5°C
? : payload is not a JSON object: it is cut off
? : payload is not a JSON object: invalid character '%' looking for beginning of value`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := decode.New(decode.Config{Building: "oak"})
			if got, want := talk(d, c.lines), strings.TrimSpace(c.want); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// A crossed bound of a plug's meter is no empty battery, and a device's own temperature is not
// the room's.
func TestTasmotaKinds(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]decode.Kind{
		`tele/p/POWER_LOW ON`:                                decode.Problem,
		`tele/p/MARGINS {"CurrentHigh":"ON"}`:                decode.Problem,
		`tele/p/SENSOR {"ESP32":{"Temperature":53.3}}`:       decode.DeviceTemperature,
		`stat/p/RESULT {"ot_tboiler":60.0}`:                  decode.Setpoint,
		`tele/p/SENSOR {"Flora-1":{"Humidity":3}}`:           decode.Moisture,
		`stat/p/LEAK ON`:                                     decode.Leak,
		`tele/p/SENSOR {"ZbReceived":{"0x1":{"Water":1}}}`:   decode.Leak,
		`tele/p/SENSOR {"ZbReceived":{"0x1":{"Fire":1}}}`:    decode.Smoke,
		`tele/p/SENSOR {"ZbReceived":{"0x1":{"CO":1}}}`:      decode.CarbonMonoxide,
		`tele/p/SENSOR {"ZbReceived":{"0x1":{"Contact":0}}}`: decode.Opening,
		`stat/p/RESULT {"Button1":{"Action":"SINGLE"}}`:      decode.Event,
	} {
		topic, payload, _ := strings.Cut(line, " ")
		r := decode.New(decode.Config{Building: "oak"}).Decode(msg(topic, payload))
		if len(r.Observations) != 1 || r.Observations[0].Kind != want {
			t.Errorf("%s: %+v, wanted %s", line, r.Observations, want)
		}
	}
}

// What a gateway told of a device's lasting address is remembered over a restart.
func TestTasmotaRemembers(t *testing.T) {
	t.Parallel()
	d := decode.New(decode.Config{Building: "oak"})
	r := d.Decode(msg("tele/zb/SENSOR", `{"ZbInfo":{"0x5ADF":{"Device":"0x5ADF","IEEEAddr":"0x90FD9FFFFE03B051","Power":1}}}`))
	again := decode.New(decode.Config{Building: "oak"})
	again.Seed(r.Remember)
	if got := talk(again, `tele/zb/SENSOR {"ZbReceived":{"0x5ADF":{"Power":true}}}`); got != "z2m:0x90fd9ffffe03b051 Power=true" {
		t.Errorf("%s, remembered %+v", got, r.Remember)
	}
}
