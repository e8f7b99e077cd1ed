// SPDX-License-Identifier: Apache-2.0
// A made-up recording with a restart of Klipper at 10 s and one of Moonraker at 20 s, in the recorder's format.
#pragma once

#include <string_view>

namespace millrace::testing {

inline constexpr std::string_view kRestartStory =
    R"({"t":0.0,"dir":"meta","msg":{"event":"recording_start","name":"story","wall":1795000000.0}}
{"t":0.1,"dir":"meta","msg":{"event":"connected"}}
{"t":0.2,"dir":"tx","msg":{"jsonrpc":"2.0","method":"server.info","id":1}}
{"t":0.3,"dir":"rx","msg":{"jsonrpc":"2.0","result":{"klippy_connected":true,"klippy_state":"ready"},"id":1}}
{"t":0.4,"dir":"tx","msg":{"jsonrpc":"2.0","method":"printer.info","id":2}}
{"t":0.5,"dir":"rx","msg":{"jsonrpc":"2.0","result":{"state":"ready","state_message":"Printer is ready","process_id":100},"id":2}}
{"t":0.6,"dir":"tx","msg":{"jsonrpc":"2.0","method":"server.files.metadata","params":{"filename":"a.gcode"},"id":3}}
{"t":0.7,"dir":"rx","msg":{"jsonrpc":"2.0","result":{"size":1},"id":3}}
{"t":0.9,"dir":"tx","msg":{"jsonrpc":"2.0","method":"printer.objects.subscribe","params":{"objects":{"webhooks":null,"print_stats":null}},"id":4}}
{"t":1.0,"dir":"rx","msg":{"jsonrpc":"2.0","result":{"eventtime":50.0,"status":{"webhooks":{"state":"ready","state_message":"Printer is ready"},"print_stats":{"state":"standby","filename":""}}},"id":4}}
{"t":1.1,"dir":"tx","msg":{"jsonrpc":"2.0","method":"server.history.list","params":{"limit":50},"id":5}}
{"t":1.2,"dir":"rx","msg":{"jsonrpc":"2.0","result":{"count":1,"jobs":[{"job_id":"000001","status":"completed","start_time":1794990000.5,"end_time":1794991000.5,"filename":"old.gcode"}]},"id":5}}
{"t":2.0,"dir":"rx","msg":{"jsonrpc":"2.0","method":"notify_status_update","params":[{"print_stats":{"state":"printing","filename":"a.gcode"}},51.0]}}
{"t":2.01,"dir":"rx","msg":{"jsonrpc":"2.0","method":"notify_history_changed","params":[{"action":"added","job":{"job_id":"000002","status":"in_progress","start_time":1795000001.9,"end_time":null,"filename":"a.gcode"}}]}}
{"t":10.0,"dir":"rx","msg":{"jsonrpc":"2.0","method":"notify_klippy_disconnected"}}
{"t":10.01,"dir":"rx","msg":{"jsonrpc":"2.0","method":"notify_history_changed","params":[{"action":"finished","job":{"job_id":"000002","status":"klippy_disconnect","start_time":1795000001.9,"end_time":1795000010.0,"filename":"a.gcode"}}]}}
{"t":11.0,"dir":"tx","msg":{"jsonrpc":"2.0","method":"server.info","id":6}}
{"t":11.1,"dir":"rx","msg":{"jsonrpc":"2.0","result":{"klippy_connected":true,"klippy_state":"startup"},"id":6}}
{"t":12.0,"dir":"rx","msg":{"jsonrpc":"2.0","method":"notify_klippy_ready"}}
{"t":12.4,"dir":"tx","msg":{"jsonrpc":"2.0","method":"printer.info","id":7}}
{"t":12.5,"dir":"rx","msg":{"jsonrpc":"2.0","result":{"state":"ready","state_message":"Printer is ready","process_id":200},"id":7}}
{"t":12.5,"dir":"tx","msg":{"jsonrpc":"2.0","method":"printer.objects.subscribe","params":{"objects":{"webhooks":null,"print_stats":null}},"id":8}}
{"t":12.6,"dir":"rx","msg":{"jsonrpc":"2.0","result":{"eventtime":61.0,"status":{"webhooks":{"state":"ready","state_message":"Printer is ready"},"print_stats":{"state":"standby","filename":""}}},"id":8}}
{"t":20.0,"dir":"meta","msg":{"event":"closed","code":1001,"reason":"Server Shutdown"}}
{"t":20.2,"dir":"meta","msg":{"event":"connect_failed"}}
{"t":22.0,"dir":"meta","msg":{"event":"connected"}}
{"t":22.1,"dir":"tx","msg":{"jsonrpc":"2.0","method":"server.info","id":1}}
{"t":22.2,"dir":"rx","msg":{"jsonrpc":"2.0","result":{"klippy_connected":true,"klippy_state":"ready"},"id":1}}
{"t":22.3,"dir":"tx","msg":{"jsonrpc":"2.0","method":"printer.objects.subscribe","params":{"objects":{"webhooks":null,"print_stats":null}},"id":2}}
{"t":22.4,"dir":"rx","msg":{"jsonrpc":"2.0","result":{"eventtime":71.0,"status":{"webhooks":{"state":"ready","state_message":"Printer is ready"},"print_stats":{"state":"standby","filename":""}}},"id":2}}
{"t":24.0,"dir":"rx","msg":{"jsonrpc":"2.0","method":"notify_status_update","params":[{"print_stats":{"state":"printing","filename":"b.gcode"}},73.0]}}
{"t":25.0,"dir":"meta","msg":{"event":"closed","code":null,"reason":null}}
{"t":25.1,"dir":"meta","msg":{"event":"recording_end"}}
)";

}  // namespace millrace::testing
