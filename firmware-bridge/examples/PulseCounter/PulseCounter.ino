// A pulse counter whose readings survive power loss in the EEPROM. An EEPROM cell takes about 100,000 writes, and each pass of some 36 readings
// through the 1 KiB of an Uno writes it twice: with a reading each minute it lasts three years. FRAM in its place lasts for ever.
#include <EEPROM.h>
#include <headwater_bridge.h>
#include <headwater_ring.h>

static const char *const channels[] = {"pulses"};
static const uint8_t uid[] = {'u', 'n', 'o', 2};  // Give each board its own.
static uint8_t tx[HWB_TX_SIZE(128)], rx[HWB_BODY_MIN];
static hwr_config_t memory;
static hwr_t ring;
static hwb_config_t config;
static hwb_t bridge;
static volatile uint32_t pulses;

// EEPROM needs no erase: it is written as erased flash would look. update() leaves alone what is so already.
static int eeprom(void *, uint8_t operation, uint32_t address, void *data, uint16_t length) {
  uint8_t *bytes = (uint8_t *)data;
  if (operation == HWR_ERASE) length = 256;
  for (uint16_t i = 0; i < length; i++) {
    int cell = (int)(address + i);
    if (operation == HWR_READ) bytes[i] = EEPROM.read(cell);
    else EEPROM.update(cell, operation == HWR_ERASE ? 0xFF : bytes[i]);
  }
  return 0;
}

static size_t readLine(void *, uint8_t *buffer, size_t size) {
  size_t count = 0;
  while (count < size && Serial.available() > 0) buffer[count++] = (uint8_t)Serial.read();
  return count;
}

static size_t writeLine(void *, const uint8_t *bytes, size_t size) {
  size_t room = (size_t)Serial.availableForWrite();
  return Serial.write(bytes, size < room ? size : room);
}

static uint32_t clock(void *) { return millis(); }

static void onPulse() { pulses++; }

void setup() {
  Serial.begin(115200);
  pinMode(2, INPUT_PULLUP);
  attachInterrupt(digitalPinToInterrupt(2), onPulse, FALLING);
  memory.medium = eeprom;
  memory.size = 1024;
  memory.sector = 256;
  memory.granule = 1;
  config.persist = hwr_persist;
  config.store = &ring;
  config.read = readLine;
  config.write = writeLine;
  config.millis = clock;
  config.uid = uid;
  config.uid_length = sizeof uid;
  config.name = "pulse-counter";
  config.firmware = "1.0.0";
  config.channels = channels;
  config.channel_count = 1;
  config.tx = tx;
  config.tx_size = sizeof tx;
  config.rx = rx;
  config.rx_size = sizeof rx;
  if (hwr_init(&ring, &memory) < 0 || hwb_init(&bridge, &config) < 0) {
    for (;;) {
    }
  }
}

void loop() {
  static uint32_t last;
  if (millis() - last >= 60000) {
    char text[12];
    last += 60000;
    noInterrupts();
    uint32_t count = pulses;
    interrupts();
    ultoa(count, text, 10);
    hwb_send(&bridge, 0, text, strlen(text));  // A full ring refuses; the next reading counts these pulses as well.
  }
  hwb_poll(&bridge);
}
